package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"

	"golang.org/x/term"
)

// asker asks a person, or reads the answers from the lines of a stream that is
// no terminal, without prompts.
type asker struct {
	s     *streams
	lines *bufio.Reader
}

func newAsker(s *streams) *asker { return &asker{s, bufio.NewReader(s.in)} }

// person reports whether somebody sits there.
func (a *asker) person() bool { return isTerminal(a.s.in) }

// line reads one line; what names it in the error of a stream that ended.
func (a *asker) line(prompt, what string) (string, error) {
	if a.person() {
		fmt.Fprint(a.s.err, prompt)
	}
	text, err := a.lines.ReadString('\n')
	if err != nil && (text == "" || !errors.Is(err, io.EOF)) {
		if errors.Is(err, io.EOF) {
			return "", errors.New("the input ended before " + what)
		}
		return "", err
	}
	return strings.TrimRight(text, "\r\n"), nil
}

// password reads a password without showing it.
func (a *asker) password(prompt, what string) (string, error) {
	if !a.person() {
		return a.line(prompt, what)
	}
	fd := int(a.s.in.(*os.File).Fd())
	before, err := term.GetState(fd)
	if err != nil {
		return "", err
	}
	// Ctrl-C would leave the terminal without echo.
	interrupted := make(chan os.Signal, 1)
	signal.Notify(interrupted, os.Interrupt)
	done := make(chan struct{})
	defer func() { signal.Stop(interrupted); close(done) }()
	go func() {
		select {
		case <-interrupted:
			term.Restore(fd, before)
			fmt.Fprintln(a.s.err)
			os.Exit(exitFailed)
		case <-done:
		}
	}()
	fmt.Fprint(a.s.err, prompt)
	secret, err := term.ReadPassword(fd)
	fmt.Fprintln(a.s.err)
	return string(secret), err
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
