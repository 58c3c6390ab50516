package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"
)

type loginCmd struct {
	remote
	User  string `arg:"" optional:"" help:"Who to sign in as; asked for when left out."`
	Stdin bool   `name:"password-stdin" help:"Read the password from the first line of the standard input, even on a terminal."`
	Token bool   `name:"with-token" help:"Keep a token that an application or an OpenID provider made, read from the standard input."`
}

// Help is what kalam login --help says beside the flags.
func (loginCmd) Help() string {
	return `Asks for the password, or reads it from the standard input when that is no
terminal. A password is never a flag: others on the machine could read it.

The session stays in your configuration folder, for your eyes only, is renewed by
use, and is what kalam sql uses from then on. kalam logout ends it.

    kalam login alice
    kalam login --url https://db.example.com alice < password.txt
    kalam login --with-token < token.txt`
}

func (c *loginCmd) Run(s *streams) error {
	ctx, stop := interruptible()
	defer stop()
	url, err := c.address()
	if err != nil {
		return err
	}
	in := *s
	if c.Stdin {
		in.in = struct{ io.Reader }{s.in} // no terminal any more
	}
	ask := newAsker(&in)
	if c.Token {
		if c.User != "" {
			return &usageError{"--with-token: the token says who it is of"}
		}
		return c.withToken(ctx, &in, url)
	}
	if c.User == "" {
		if c.User, err = ask.line("User: ", "the user"); err != nil {
			return err
		}
	}
	password, err := ask.password("Password: ", "the password")
	if err != nil {
		return err
	}
	made, answer, err := logIn(ctx, url, c.User, password)
	if err != nil {
		return err
	}
	if err := made.replace(); err != nil {
		return err
	}
	_, err = fmt.Fprintf(s.out, "Signed in to %s as %s (role %s).\n", url, made.User, answer.User.Role)
	return err
}

// endQuietly ends a session that is of no use any more. When the server cannot
// be asked the session ends by itself.
func endQuietly(s *session) {
	ctx, cancel := context.WithTimeout(context.Background(), 3*time.Second)
	defer cancel()
	s.end(ctx)
}

type logoutCmd struct{}

// Help is what kalam logout --help says beside the flags.
func (logoutCmd) Help() string {
	return `Ends the session that kalam login keeps, on the server too, and forgets it.`
}

func (c *logoutCmd) Run(s *streams) error {
	ctx, stop := interruptible()
	defer stop()
	unlock, err := lockSession()
	if err != nil {
		return err
	}
	defer unlock()
	kept, err := loadSession()
	if err != nil {
		return errors.Join(err, forgetSession())
	}
	if kept == nil {
		_, err := fmt.Fprintln(s.out, "Nobody is signed in.")
		return err
	}
	ended := explain(kept.end(ctx), kept.URL)
	if err := forgetSession(); err != nil {
		return err
	}
	if ended != nil {
		return fmt.Errorf("the session is forgotten here, but could not be ended on the server: %w", ended)
	}
	_, err = fmt.Fprintf(s.out, "Signed out of %s.\n", kept.URL)
	return err
}
