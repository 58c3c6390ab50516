package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/kalamdb/kalam-go/client"
	"github.com/kalamdb/kalam-go/wire"
)

const defaultURL = "http://localhost:8080"

// remote is the server that a command talks to.
type remote struct {
	URL string `name:"url" env:"KALAM_URL" placeholder:"URL" help:"The server (default: the one last signed in to, else http://localhost:8080)."`
}

// address is the server's base URL.
func (r *remote) address() (string, error) {
	raw := r.URL
	if raw == "" {
		kept, err := loadSessions()
		if err != nil {
			return "", err
		}
		if raw = kept.Current; raw == "" {
			raw = defaultURL
		}
	}
	u, err := url.Parse(raw)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
		return "", &usageError{fmt.Sprintf("%q is not the URL of a server, as %s is", raw, defaultURL)}
	}
	return strings.TrimRight(u.Scheme+"://"+strings.ToLower(u.Host)+u.Path, "/"), nil
}

// answerError is a refusal by one of the routes under /v1/api/auth.
type answerError struct {
	status int
	wire.AuthError
}

// call sends a request to one of the auth routes that the client has no method
// for, and decodes the answer into out.
func call(ctx context.Context, method, url, token string, in, out any) error {
	var body io.Reader
	if in != nil {
		b, err := json.Marshal(in)
		if err != nil {
			return err
		}
		body = bytes.NewReader(b)
	}
	req, err := http.NewRequestWithContext(ctx, method, url, body)
	if err != nil {
		return err
	}
	if !isPrivate(req.URL) {
		return client.ErrInsecureTransport
	}
	if in != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	c := &http.Client{
		Timeout:       30 * time.Second,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	resp, err := c.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(io.LimitReader(resp.Body, 1<<20))
	if err != nil {
		return err
	}
	if resp.StatusCode/100 != 2 {
		if e := wire.DecodeAuthError(answer); e != nil {
			return &answerError{resp.StatusCode, *e}
		}
		return fmt.Errorf("the answer is not one of KalamDB, status %d", resp.StatusCode)
	}
	if out == nil {
		return nil
	}
	if err := json.Unmarshal(answer, out); err != nil {
		return errors.New("the answer is not one of KalamDB")
	}
	return nil
}

// isPrivate reports whether nobody between us and the server reads along.
func isPrivate(u *url.URL) bool {
	host := u.Hostname()
	ip := net.ParseIP(host)
	return u.Scheme == "https" || host == "localhost" || ip != nil && ip.IsLoopback()
}

// explain says in words of the command line what went wrong with a server.
func explain(err error, url string) error {
	var network *net.OpError
	var dns *net.DNSError
	switch {
	case err == nil:
		return nil
	case errors.Is(err, client.ErrInsecureTransport):
		return fmt.Errorf("%s: credentials travel over https or to this machine only", url)
	case errors.As(err, &dns), errors.As(err, &network) && network.Op == "dial":
		return fmt.Errorf("cannot reach %s: %w\nIs the server running? Start one with kalam serve, or choose another with --url or KALAM_URL", url, cause(err))
	case isCode(err, wire.CodeSetupRequired), isStatus(err, http.StatusPreconditionRequired):
		return fmt.Errorf("%s is new and nobody can sign in yet: run kalam setup on its machine", url)
	}
	return err
}

// cause is the innermost error of a failed connection.
func cause(err error) error {
	var network *net.OpError
	if errors.As(err, &network) {
		return network.Err
	}
	return err
}

func isCode(err error, code wire.Code) bool {
	var e *wire.Error
	return errors.As(err, &e) && e.Code == code
}

func isStatus(err error, status int) bool {
	var e *answerError
	return errors.As(err, &e) && e.status == status
}
