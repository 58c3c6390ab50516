package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/kalamdb/kalam-go/auth"
	"github.com/kalamdb/kalam-go/client"
	"github.com/kalamdb/kalam-go/internal/dialect"
	"github.com/kalamdb/kalam-go/wire"
)

type sqlCmd struct {
	remote
	Execute   []string `short:"e" sep:"none" placeholder:"SQL" help:"Run this text and end; may be given several times."`
	File      string   `short:"f" placeholder:"FILE" help:"Run the statements of a file and end; - is the standard input."`
	Format    string   `enum:"table,json,csv" default:"table" help:"How to print rows: table, json or csv."`
	JSON      bool     `name:"json" help:"Short for --format json."`
	CSV       bool     `name:"csv" help:"Short for --format csv."`
	User      string   `short:"u" placeholder:"NAME" help:"Sign in as NAME for this command only, with the password in KALAM_PASSWORD or asked for."`
	Namespace string   `short:"n" placeholder:"NAME" help:"Namespace of tables that are named without one."`
}

// Help is what kalam sql --help says beside the flags.
func (sqlCmd) Help() string {
	return `Without -e and -f it reads statements from the standard input, and on a terminal it
opens a shell. It uses the session that kalam login keeps.

    kalam sql -e "SELECT * FROM chat.messages"
    kalam sql -e "\live SELECT * FROM chat.messages WHERE room = 'general'"
    kalam sql --csv -e "SELECT * FROM chat.messages" > messages.csv
    kalam sql -u bob < schema.sql

A live query runs until Ctrl-C. It prints all its rows after every change; with
--format json it prints one event per line.

Statements of a script run one after the other, each for itself, and the first
error ends it; Ctrl-C does too, with the exit code 130. What stands between BEGIN and COMMIT runs as a whole or not at all.
The commands of the shell, as \d chat.messages, may stand in place of a text.

In JSON a 64-bit integer is a string, a DECIMAL too, and a TIMESTAMP is its number
of microseconds since 1970, as the server sends them. In CSV a NULL is an empty
field and an empty text is "".`
}

// executor runs statements of one signed-in user and prints what they give.
type executor struct {
	s      *streams
	c      *client.Client
	url    string
	format string

	// Of the shell.
	connect   func(namespace string) (*client.Client, error)
	namespace string  // of names without one
	known     *schema // for completion
	untimed   bool    // it does not show how long statements take
	color     bool    // errors are red
	expanded  string  // rows as lines of their columns: on, off or auto
	depth     int     // of files that include files
}

func (c *sqlCmd) Run(s *streams) error {
	ctx, stop := interruptible()
	defer stop()
	if c.JSON {
		c.Format = "json"
	}
	if c.CSV {
		c.Format = "csv"
	}
	if len(c.Execute) > 0 && c.File != "" {
		return &usageError{"-e and -f exclude each other"}
	}
	x, end, err := c.open(ctx, s)
	if err != nil {
		return err
	}
	defer end()
	if err := c.execute(ctx, stop, s, x); !errors.Is(err, errLeave) {
		return err
	}
	return nil
}

// execute runs what the flags, the input or a person say.
func (c *sqlCmd) execute(ctx context.Context, stop func(), s *streams, x *executor) error {
	switch {
	case len(c.Execute) > 0:
		for _, text := range c.Execute {
			if err := x.script(ctx, text); err != nil {
				return err
			}
		}
		return nil
	case c.File != "" && c.File != "-":
		b, err := os.ReadFile(c.File)
		if err != nil {
			return err
		}
		return x.script(ctx, sourceText(b))
	case c.File == "" && isTerminal(s.in):
		stop() // Ctrl-C is the shell's
		return x.shell()
	}
	b, err := io.ReadAll(s.in)
	if err != nil {
		return err
	}
	return x.script(ctx, sourceText(b))
}

// sourceText is the text of a file, without the byte order mark that some
// editors begin it with.
func sourceText(b []byte) string { return strings.TrimPrefix(string(b), "\ufeff") }

// open signs in. End ends what was begun, a session of this command too.
func (c *sqlCmd) open(ctx context.Context, s *streams) (x *executor, end func(), err error) {
	url, err := c.address()
	if err != nil {
		return nil, nil, err
	}
	p := &provider{}
	if c.User != "" {
		password, ok := os.LookupEnv("KALAM_PASSWORD")
		if !ok {
			if !isTerminal(s.in) {
				return nil, nil, errors.New("--user needs the password: set KALAM_PASSWORD")
			}
			if password, err = newAsker(s).password("Password of "+c.User+": ", "the password"); err != nil {
				return nil, nil, err
			}
		}
		if p.s, _, err = logIn(ctx, url, c.User, password); err != nil {
			return nil, nil, err
		}
	} else {
		if p, err = c.keptSession(); err != nil {
			return nil, nil, fmt.Errorf("%w, or name a user with -u", err)
		}
	}
	connect := func(namespace string) (*client.Client, error) {
		return client.New(url, auth.ProviderFunc(p.Auth), client.Options{
			Namespace: namespace, RequestTimeout: 10 * time.Minute, OnConnection: connectionNotes(s.err),
		})
	}
	api, err := connect(c.Namespace)
	if err != nil {
		return nil, nil, err
	}
	x = &executor{s: s, c: api, url: url, format: c.Format, connect: connect, namespace: c.Namespace, expanded: "auto"}
	if x.namespace == "" {
		x.namespace = "default"
	}
	return x, func() {
		x.c.Close()
		if !p.kept {
			endQuietly(p.current())
		}
	}, nil
}

// errInterrupted is what became of a statement that Ctrl-C has ended.
var errInterrupted = errors.New("interrupted")

// script runs a command of the shell, or the parts of a text until one fails.
func (x *executor) script(ctx context.Context, text string) error {
	if trimmed := strings.TrimSpace(text); strings.HasPrefix(trimmed, `\`) {
		return x.runCommand(ctx, trimmed)
	}
	parts, _ := dialect.Split(text)
	for _, part := range parts {
		if err := x.statement(ctx, text, part); err != nil {
			return err
		}
	}
	return nil
}

// statement runs one part of a script.
func (x *executor) statement(ctx context.Context, script string, part dialect.Part) error {
	began := time.Now()
	results, err := x.c.Run(ctx, script[part.Start:part.End])
	if err != nil {
		return x.failure(err, script, part.Start)
	}
	took := time.Since(began)
	x.use(script[part.Start:part.End])
	return x.print(results, took)
}

// failure words an error of a text that began at an offset of a script, with
// the place in the script where there is one.
func (x *executor) failure(err error, script string, offset int) error {
	if errors.Is(err, context.Canceled) {
		return errInterrupted
	}
	if errors.Is(err, client.ErrUnauthenticated) && !isCode(err, wire.CodeSetupRequired) {
		if errors.Is(err, errSessionOver) {
			return errSessionOver
		}
		return fmt.Errorf("%s does not accept the session (%w): sign in again with kalam login", x.url, err)
	}
	var e *wire.Error
	if !errors.As(err, &e) || isCode(err, wire.CodeSetupRequired) {
		return explain(err, x.url)
	}
	var b strings.Builder
	b.WriteString(printable(string(e.Code) + ": "))
	if e.Statement > 1 {
		fmt.Fprintf(&b, "Statement %d failed: ", e.Statement)
	}
	b.WriteString(printable(e.Message))
	if e.Line > 0 {
		line, column := dialect.Place(script, dialect.Pos(offset))
		if e.Line == 1 {
			column += e.Column - 1
		} else {
			column = e.Column
		}
		line += e.Line - 1
		fmt.Fprintf(&b, " (line %d, column %d)", line, column)
		b.WriteString(x.caret(script, line, column))
	}
	if e.Details != "" {
		b.WriteString("\n" + printable(e.Details))
	}
	if e.Hint != "" {
		b.WriteString("\nHint: " + printable(e.Hint))
	}
	return errors.New(b.String())
}

// caret shows a line of a script with a mark under a place of it. Of a long
// line it shows the part around the place.
func (x *executor) caret(script string, line, column int) string {
	const around = 60
	lines := strings.Split(script, "\n")
	if line > len(lines) {
		return ""
	}
	text := []rune(strings.TrimRight(printable(strings.ReplaceAll(lines[line-1], "\t", " ")), "\r"))
	at := min(max(column-1, 0), len(text))
	from, to := max(0, at-around), min(len(text), at+around)
	return "\n\n  " + string(text[from:to]) + "\n  " + strings.Repeat(" ", width(string(text[from:at]))) + x.red("^")
}
