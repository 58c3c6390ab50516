package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/reeflective/readline"

	"github.com/kalamdb/kalam-go/internal/dialect"
)

const (
	prompt     = "kalam> "
	promptMore = "    -> "
)

// shell reads statements from a person until they leave.
func (x *executor) shell() error {
	rl := readline.NewShell()
	rl.Prompt.Primary(func() string { return prompt })
	rl.Prompt.Secondary(func() string { return promptMore })
	for name, on := range map[string]bool{
		// The library drops what is typed while the terminal answers where the
		// cursor is. It need not ask: the prompt begins a line, and there is room
		// below it.
		"cursor-position-probe": false,
		// Letters beyond ASCII are letters, and not the meta key with another one.
		"convert-meta": false, "input-meta": true, "output-meta": true,
	} {
		if err := rl.Config.Set(name, on); err != nil {
			return err
		}
	}
	rl.SyntaxHighlighter = func(line []rune) string { return room(string(line), x.width()) + string(line) }
	rl.AcceptMultiline = func(line []rune) bool { return isComplete(string(line)) }
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

// room makes sure that the rows of a text, and one below, are on the screen when
// the text is written at the cursor: it moves down as far, which scrolls at the
// end of the screen, and up again.
func room(text string, columns int) string {
	rows := 1
	for line := range strings.Lines(text) {
		rows++
		if columns > 0 {
			rows += (len(promptMore) + width(line)) / columns
		}
	}
	return strings.Repeat("\x1bD", rows) + "\x1b[" + strconv.Itoa(rows) + "A"
}

// isComplete reports whether what a person has typed is to be run, and does not
// wait for more lines.
func isComplete(typed string) bool {
	text := strings.TrimSpace(typed)
	if strings.HasPrefix(text, `\`) || isPlainCommand(text) {
		return true
	}
	_, open := dialect.Split(text)
	return !open
}

// isPlainCommand reports whether a text is a command without a backslash, which
// needs no semicolon either.
func isPlainCommand(text string) bool {
	switch strings.ToLower(strings.TrimRight(text, "; ")) {
	case "quit", "exit", "help":
		return true
	}
	return false
}

// entered runs what a person entered and reports whether they want to leave.
func (x *executor) entered(line string) (leave bool) {
	// Ctrl-C ends the statement and not the shell.
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if text := strings.TrimSpace(line); isPlainCommand(text) {
		line = `\` + strings.ToLower(text)
	}
	err := x.script(ctx, line)
	if errors.Is(err, errLeave) {
		return true
	}
	if err != nil {
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
