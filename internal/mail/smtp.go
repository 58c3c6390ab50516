package mail

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/url"
	"strconv"
	"strings"

	gomail "github.com/wneessen/go-mail"
)

// server is an SMTP server as its URL describes it.
type server struct {
	host     string
	options  []gomail.Option
	password string
}

// parseServer reads smtps://user:password@host:465, or smtp:// for STARTTLS,
// which only a server on this machine may do without.
func parseServer(text string) (*server, error) {
	u, err := url.Parse(text)
	if err != nil || u.Hostname() == "" || u.Path != "" && u.Path != "/" {
		return nil, errors.New("the SMTP server must be a URL such as smtps://user:password@host:465") // err has the password
	}
	s := &server{host: u.Hostname()}
	port := 0
	switch u.Scheme {
	case "smtps":
		port = 465
		s.options = append(s.options, gomail.WithSSL())
	case "smtp":
		port = 587
		policy := gomail.TLSMandatory
		if loopback(s.host) {
			policy = gomail.TLSOpportunistic
		}
		s.options = append(s.options, gomail.WithTLSPolicy(policy))
	default:
		return nil, fmt.Errorf("the SMTP server must be a URL with smtps:// or smtp://, not %s://", u.Scheme)
	}
	if u.Port() != "" {
		if port, err = strconv.Atoi(u.Port()); err != nil {
			return nil, errors.New("the port of the SMTP server is not a number")
		}
	}
	s.options = append(s.options, gomail.WithPort(port), gomail.WithTimeout(sendTimeout),
		gomail.WithTLSConfig(&tls.Config{ServerName: s.host, MinVersion: tls.VersionTLS12}))
	if u.User != nil {
		s.password, _ = u.User.Password()
		s.options = append(s.options, gomail.WithSMTPAuth(gomail.SMTPAuthAutoDiscover),
			gomail.WithUsername(u.User.Username()), gomail.WithPassword(s.password))
	}
	return s, nil
}

func loopback(host string) bool {
	if host == "localhost" {
		return true
	}
	ip := net.ParseIP(host)
	return ip != nil && ip.IsLoopback()
}

// connection is an open connection to the server. A nil one is none.
type connection struct {
	client *gomail.Client
	server *server
}

func (s *server) dial(ctx context.Context) (*connection, error) {
	client, err := gomail.NewClient(s.host, s.options...)
	if err != nil {
		return nil, s.clean(err)
	}
	dialled := make(chan error, 1)
	go func() { dialled <- client.DialWithContext(ctx) }()
	select {
	case err = <-dialled:
	case <-ctx.Done():
		// The library waits for a server that says nothing whatever becomes of ctx,
		// until its own time is over.
		go func() {
			if <-dialled == nil {
				client.Close()
			}
		}()
		err = ctx.Err()
	}
	if err != nil {
		return nil, s.clean(err)
	}
	return &connection{client, s}, nil
}

// clean is an error without the password, whatever a library puts into it.
func (s *server) clean(err error) error {
	text := err.Error()
	if s.password != "" {
		text = strings.ReplaceAll(text, s.password, "***")
	}
	return errors.New(text)
}

func (c *connection) close() {
	if c != nil {
		c.client.Close()
	}
}

// refusedError says that the server will never take this mail.
type refusedError struct{ error }

// unknownError says that the server may have taken this mail: the connection
// broke before its answer.
type unknownError struct{ error }

// send hands a mail over and returns the server's answer. An error that is
// neither of the two above means that it was not sent and may be tried again.
func (c *connection) send(ctx context.Context, from, name, to string, m *rendered) (answer string, err error) {
	msg := gomail.NewMsg()
	if err := msg.FromFormat(name, from); err != nil {
		return "", &refusedError{fmt.Errorf("the sender's address: %w", err)}
	}
	if err := msg.To(to); err != nil {
		return "", &refusedError{fmt.Errorf("the recipient's address: %w", err)}
	}
	msg.Subject(m.subject)
	msg.SetDate()
	msg.SetMessageID()
	msg.SetGenHeader("Auto-Submitted", "auto-generated")
	msg.SetBodyString(gomail.TypeTextPlain, m.text)
	msg.AddAlternativeString(gomail.TypeTextHTML, m.html)
	done := make(chan error, 1)
	go func() { done <- c.client.Send(msg) }()
	select {
	case err = <-done:
	case <-ctx.Done():
		c.client.Close()
		<-done
		return "", &unknownError{fmt.Errorf("the SMTP server did not answer in time")}
	}
	if err == nil {
		return msg.ServerResponse(), nil
	}
	clean := c.server.clean(err)
	var failed *gomail.SendError
	if !errors.As(err, &failed) {
		return "", clean
	}
	switch {
	case failed.Reason == gomail.ErrSMTPDataClose && failed.ErrorCode() == 0:
		return "", &unknownError{clean}
	case failed.ErrorCode() >= 500:
		return "", &refusedError{clean}
	}
	return "", clean
}
