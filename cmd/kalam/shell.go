package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"strings"

	"github.com/reeflective/readline"

	"github.com/kalamdb/kalam-go/internal/dialect"
)

const shellHelp = `A statement ends with a semicolon and may take several lines.

  \live SELECT ...   follow the rows of a query until Ctrl-C
  \?                 this help
  \q                 leave (so does Ctrl-D)

Ctrl-C drops what you typed, or ends what runs. BEGIN; ... COMMIT; runs as a whole
once it is complete.`

// shell reads statements from a person until they leave.
func (x *executor) shell() error {
	rl := readline.NewShell()
	rl.Prompt.Primary(func() string { return "kalam> " })
	rl.Prompt.Secondary(func() string { return "    -> " })
	rl.AcceptMultiline = func(line []rune) bool {
		text := strings.TrimSpace(string(line))
		_, open := dialect.Split(text)
		return strings.HasPrefix(text, `\`) || !open
	}
	if h, err := newHistory(); err != nil {
		fmt.Fprintln(x.s.err, "kalam: no history:", err)
	} else {
		rl.History.Delete()
		rl.History.Add("statements", h)
	}
	fmt.Fprintf(x.s.out, "kalam %s, connected to %s. \\? for help, \\q to leave.\n\n", version, x.url)
	for {
		line, err := rl.Readline()
		switch {
		case errors.Is(err, readline.ErrInterrupt):
			continue
		case errors.Is(err, io.EOF):
			fmt.Fprintln(x.s.out)
			return nil
		case err != nil:
			return err
		}
		if done := x.entered(line); done {
			return nil
		}
	}
}

// entered runs what a person entered and reports whether they want to leave.
func (x *executor) entered(line string) bool {
	switch text := strings.TrimRight(strings.TrimSpace(line), "; "); text {
	case `\q`, `\quit`, "exit", "quit":
		return true
	case `\?`, `\h`, `\help`, "help":
		fmt.Fprintln(x.s.out, shellHelp)
		return false
	default:
		if _, ok := liveQuery(text); !ok && strings.HasPrefix(text, `\`) {
			fmt.Fprintf(x.s.err, "%s is no command. \\? shows what there is.\n", strings.Fields(text)[0])
			return false
		}
	}
	// Ctrl-C ends the statement and not the shell.
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := x.script(ctx, line); err != nil {
		fmt.Fprintln(x.s.err, "error:", err)
	}
	return false
}

// history keeps what was entered in a file for its owner only, without the
// statements that hold a password.
type history struct{ readline.History }

func newHistory() (*history, error) {
	dir, err := configDir()
	if err != nil {
		return nil, err
	}
	path := filepath.Join(dir, "history")
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	if err := errors.Join(f.Chmod(0o600), f.Close()); err != nil {
		return nil, err
	}
	h, err := readline.NewHistoryFromFile(path)
	return &history{h}, err
}

// Write implements readline.History.
func (h *history) Write(line string) (int, error) {
	if strings.Contains(strings.ToLower(line), "password") {
		return h.Len(), nil
	}
	return h.History.Write(line)
}
