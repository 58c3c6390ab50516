package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
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
use, and is what kalam sql uses from then on. kalam logout ends it. Each server has a
session of its own: --url, or KALAM_URL, chooses among them.

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

type logoutCmd struct {
	remote
	All bool `help:"Sign out of every server."`
}

// Help is what kalam logout --help says beside the flags.
func (logoutCmd) Help() string {
	return `Ends the session that kalam login keeps, on the server too, and forgets it. Sessions
of other servers stay, unless --all is given.`
}

func (c *logoutCmd) Run(s *streams) error {
	ctx, stop := interruptible()
	defer stop()
	unlock, err := lockSession()
	if err != nil {
		return err
	}
	defer unlock()
	all, err := loadSessions()
	if err != nil { // a damaged file is of no use
		return errors.Join(err, (&sessions{Sessions: map[string]*session{}}).save())
	}
	urls := slices.Sorted(maps.Keys(all.Sessions))
	if !c.All {
		url, err := c.address()
		if err != nil {
			return err
		}
		urls = slices.DeleteFunc(urls, func(u string) bool { return u != url })
	}
	if len(urls) == 0 {
		_, err := fmt.Fprintln(s.out, "Nobody is signed in.")
		return err
	}
	var failed error
	for _, url := range urls {
		kept := all.Sessions[url]
		delete(all.Sessions, url)
		if all.Current == url {
			all.Current = ""
		}
		if err := all.save(); err != nil {
			return err
		}
		if ended := explain(kept.end(ctx), url); ended != nil {
			failed = errors.Join(failed, fmt.Errorf("the session is forgotten here, but could not be ended on the server: %w", ended))
			continue
		}
		fmt.Fprintf(s.out, "Signed out of %s.\n", url)
	}
	return failed
}
