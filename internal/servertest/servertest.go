// Package servertest starts real servers for tests: in the test's own process,
// on a free port, with a data folder of their own.
package servertest

import (
	"context"
	"log/slog"
	"testing"
	"time"

	"github.com/kalamdb/kalam-go/internal/config"
	"github.com/kalamdb/kalam-go/internal/node"
)

// Password is the password of the users that every server has: alice and bob
// (role user) and admin (dba).
const Password = node.DemoPassword

// Options change the server of a test. The zero value works.
type Options struct {
	Dir    string               // data folder; default: a new one that goes with the test
	Port   int                  // default: a free one
	Config func(*config.Config) // changes the configuration
}

// Server is a running server.
type Server struct {
	URL  string // http://localhost:PORT
	Dir  string
	Port int
	node *node.Node
}

// Start starts a server with the demo users and the table chat.messages, and
// ends it with the test.
func Start(t testing.TB, o Options) *Server {
	t.Helper()
	if o.Dir == "" {
		o.Dir = t.TempDir()
		if err := demo.write(o.Dir); err != nil {
			t.Fatalf("copy the demo data: %v", err)
		}
	}
	c := &config.Config{}
	c.Server.Port = o.Port
	c.Storage.DataPath = o.Dir
	// Tests sign in many users at once.
	c.RateLimit.MaxAuthRequestsPerIPPerSec = 1000
	// A socket waits as long as its test prepares something; a test of these
	// limits sets them.
	c.WebSocket.ClientTimeoutSecs, c.WebSocket.AuthTimeoutSecs = 3600, 60
	if o.Config != nil {
		o.Config(c)
	}
	n, err := node.Start(t.Context(), c, node.Options{Version: "test", Demo: true, Logger: slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelWarn}))})
	if err != nil {
		t.Fatalf("start the server: %v", err)
	}
	s := &Server{URL: n.URL(), Dir: o.Dir, Port: n.Port(), node: n}
	t.Cleanup(s.Close)
	return s
}

// Close ends the server. It is idempotent; a new server may then be started on
// its folder and port.
func (s *Server) Close() {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	s.node.Close(ctx)
}
