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
	x.known = &schema{rows: x.texts}
	rl.Completer = x.known.complete
	x.color = isTerminal(x.s.err) && os.Getenv("NO_COLOR") == ""
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
	text := strings.TrimRight(strings.TrimSpace(line), "; ")
	switch text {
	case `\q`, `\quit`, "exit", "quit":
		return true
	}
	if sql, done, ok := x.command(text); done {
		return false
	} else if ok {
		line = sql
	} else if _, live := liveQuery(text); !live && strings.HasPrefix(text, `\`) {
		fmt.Fprintf(x.s.err, "%s is no command. \\? shows what there is.\n", strings.Fields(text)[0])
		return false
	}
	// Ctrl-C ends the statement and not the shell.
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := x.script(ctx, line); err != nil {
		fmt.Fprintln(x.s.err, x.red("error:"), err)
	}
	if x.known != nil {
		x.known.forget()
	}
	return false
}

// red is a text in the colour of errors, where there are colours.
func (x *executor) red(text string) string {
	if !x.color {
		return text
	}
	return "\x1b[1;31m" + text + "\x1b[0m"
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
