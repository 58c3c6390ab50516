package main

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"golang.org/x/term"
)

// asker asks a person, or reads the answers from the lines of a stream that is
// no terminal, without prompts.
type asker struct {
	s        *streams
	lines    *bufio.Reader
	terminal *term.Terminal // a person's; it keeps what was typed ahead
}

func newAsker(s *streams) *asker {
	return &asker{s, bufio.NewReader(s.in), term.NewTerminal(struct {
		io.Reader
		io.Writer
	}{s.in, s.err}, "")}
}

// person reports whether somebody sits there.
func (a *asker) person() bool { return isTerminal(a.s.in) }

// line reads one line; what names it in the error of a stream that ended.
func (a *asker) line(prompt, what string) (string, error) {
	if a.person() {
		a.terminal.SetPrompt(prompt)
		return a.raw(what, a.terminal.ReadLine)
	}
	text, err := a.lines.ReadString('\n')
	if err != nil && (text == "" || !errors.Is(err, io.EOF)) {
		return "", ended(err, what)
	}
	return strings.TrimRight(text, "\r\n"), nil
}

// password reads a password without showing it.
func (a *asker) password(prompt, what string) (string, error) {
	if !a.person() {
		return a.line(prompt, what)
	}
	return a.raw(what, func() (string, error) { return a.terminal.ReadPassword(prompt) })
}

// raw reads while the terminal shows nothing by itself. That begins before the
// prompt appears, so what answers the prompt is never shown.
func (a *asker) raw(what string, read func() (string, error)) (string, error) {
	fd := int(a.s.in.(*os.File).Fd())
	before, err := term.MakeRaw(fd)
	if err != nil {
		return "", err
	}
	defer term.Restore(fd, before)
	text, err := read()
	if err != nil { // Ctrl-C and Ctrl-D are the end of the input here
		fmt.Fprint(a.s.err, "\r\n")
		return "", ended(err, what)
	}
	return text, nil
}

// done refuses what came with the last answer on a stream that is no terminal:
// its lines were not meant for the questions asked. It does not wait for more.
func (a *asker) done() error {
	rest, _ := a.lines.Peek(a.lines.Buffered())
	if len(bytes.TrimSpace(rest)) > 0 {
		return errors.New("the input has more lines than questions: see --help for the answers it takes")
	}
	return nil
}

// ended says what was due when the input ended.
func ended(err error, what string) error {
	if errors.Is(err, io.EOF) {
		return errors.New("the input ended before " + what)
	}
	return err
}

// newPassword asks twice a person, and a stream once.
func (a *asker) newPassword(prompt, what string) (string, error) {
	for {
		first, err := a.password(prompt+": ", what)
		if err != nil || !a.person() {
			return first, err
		}
		second, err := a.password("The same again: ", what)
		if err != nil {
			return "", err
		}
		if first == second {
			return first, nil
		}
		fmt.Fprintln(a.s.err, "They differ. Once more:")
	}
}
