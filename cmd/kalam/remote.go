package main

import (
	"errors"
	"fmt"
	"net"
	"net/url"
	"strings"

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
	case errors.Is(err, errSessionOver):
		return errSessionOver
	case errors.Is(err, errTokenOver):
		return errTokenOver
	case isCode(err, wire.CodeSetupRequired):
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
