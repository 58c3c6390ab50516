package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"os/signal"
	"runtime"
	"runtime/debug"
	"strconv"
	"syscall"
	"time"

	"github.com/kalamdb/kalam-go/internal/config"
	"github.com/kalamdb/kalam-go/internal/node"
)

type serveCmd struct {
	Listen  string `placeholder:"HOST:PORT" help:"Address to listen on; localhost means every loopback address (default localhost:8080)."`
	Data    string `placeholder:"DIR" help:"Data folder, made if there is none (default ./data, with --demo ./demo)."`
	Config  string `placeholder:"FILE" help:"Configuration file (TOML)."`
	TLSCert string `name:"tls-cert" placeholder:"FILE" help:"Certificate with its chain (PEM): serve https."`
	TLSKey  string `name:"tls-key" placeholder:"FILE" help:"Key of the certificate (PEM)."`
	Demo    bool   `help:"Serve demo users and a demo table from a folder of their own: alice, bob and admin, each with password Secret123!. Loopback only."`
}

// Help is what kalam serve --help says beside the flags.
func (serveCmd) Help() string {
	return `A flag wins over the environment, that over the file, that over the default. Every
key of the file, [section] key, has the variable KALAMDB_SECTION_KEY.

Without KALAMDB_ROOT_PASSWORD a new server waits for its setup: run kalam setup on
the same machine. SIGTERM and Ctrl-C end the server in order, within 10 seconds.`
}

// drainTime is how long the server takes to end at most.
const drainTime = 9 * time.Second

func (c *serveCmd) Run(s *streams) error {
	config, err := c.config()
	if err != nil {
		return err
	}
	if os.Getenv("GOMAXPROCS") == "" {
		// One more than the processors: the writer's thread mostly sits in a sync
		// of the disk, and the scheduler takes its place away late.
		runtime.GOMAXPROCS(runtime.GOMAXPROCS(0) + 1)
	}
	if os.Getenv("GOGC") == "" {
		// What lives on is small beside what requests leave behind: looking for it
		// half as often is worth the memory.
		debug.SetGCPercent(200)
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, os.Interrupt)
	defer stop()
	hashes := []string(nil)
	if self, err := os.Executable(); err == nil {
		hashes = []string{self, "hash-worker"}
	}
	n, err := node.Start(ctx, config, node.Options{
		HashCommand: hashes, Version: version, Build: date, Demo: c.Demo, Logger: newLogger(s.err, config.Logging.Level),
		PrintMail: c.printMail(s.out),
	})
	if err != nil {
		return err
	}
	if os.Getenv("GOMEMLIMIT") == "" {
		go boundGarbage(ctx, config.Limits.MaxMemory, n.EngineMemory)
	}
	c.greet(ctx, s.out, n, config)
	select {
	case <-ctx.Done():
	case err = <-n.Failed():
	}
	stop() // a second signal ends the process at once
	fmt.Fprintln(s.out, "Shutting down ...")
	drain, cancel := context.WithTimeout(context.Background(), drainTime)
	defer cancel()
	return errors.Join(err, n.Close(drain))
}

func (c *serveCmd) config() (*config.Config, error) {
	config, err := config.Load(c.Config, os.Environ())
	if err != nil {
		return nil, err
	}
	if c.Listen != "" {
		host, port, err := net.SplitHostPort(c.Listen)
		if err != nil {
			return nil, fmt.Errorf("--listen %s: want HOST:PORT, as in localhost:8080", c.Listen)
		}
		if config.Server.Port, err = strconv.Atoi(port); err != nil {
			return nil, fmt.Errorf("--listen %s: %q is not a port", c.Listen, port)
		}
		config.Server.Host = host
	} else if config.Server.Port == 0 {
		config.Server.Port = 8080
	}
	if c.Data != "" {
		config.Storage.DataPath = c.Data
	}
	if a := &config.Auth.Accounts; c.Demo && a.SignUp == "" {
		// Everybody may try everything, without mails.
		a.SignUp, a.Email, a.Anonymous = "open", "none", true
	}
	if c.TLSCert != "" || c.TLSKey != "" {
		config.Server.TLSCert, config.Server.TLSKey = c.TLSCert, c.TLSKey
		if c.TLSCert == "" || c.TLSKey == "" {
			return nil, errors.New("--tls-cert and --tls-key: one needs the other")
		}
	}
	if config.Storage.DataPath == "" && c.Demo {
		config.Storage.DataPath = "demo"
	} else if config.Storage.DataPath == "" {
		config.Storage.DataPath = "data"
	}
	return config, nil
}

// printMail shows the mails of the demo in the terminal.
func (c *serveCmd) printMail(w io.Writer) func(string) {
	if !c.Demo {
		return nil
	}
	return func(text string) { fmt.Fprintf(w, "\n%s\n", text) }
}

// greet says where the server is and what to do next.
func (c *serveCmd) greet(ctx context.Context, w io.Writer, n *node.Node, config *config.Config) {
	fmt.Fprintf(w, "KalamDB %s serves %s with the data in %s\n", version, n.URL(), config.Storage.DataPath)
	if c.Demo {
		fmt.Fprintf(w, `
Demo users: alice, bob (role user) and admin (role dba), created with password %[2]s.
Try, in another terminal:

  kalam login --url %[1]s alice
  kalam sql -e "SELECT * FROM chat.messages"
  kalam sql -e "\live SELECT * FROM chat.messages"

`, n.URL(), node.DemoPassword)
		return
	}
	if needed, err := n.NeedsSetup(ctx); err == nil && needed {
		fmt.Fprintf(w, "\nNobody can sign in yet. On this machine, run:\n\n  kalam setup --url %s\n\n", n.URL())
	}
}

func newLogger(w io.Writer, level string) *slog.Logger {
	var l slog.Level
	if level != "" {
		l.UnmarshalText([]byte(level))
	}
	return slog.New(slog.NewTextHandler(w, &slog.HandlerOptions{Level: l}))
}
