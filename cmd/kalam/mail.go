package main

import (
	"fmt"

	"github.com/kalamdb/kalam-go/internal/mail"
)

type mailCmd struct {
	Test mailTestCmd `cmd:"" help:"Send a mail with the configuration of a server."`
}

type mailTestCmd struct {
	folder
	To string `arg:"" placeholder:"ADDRESS" help:"Where the mail goes."`
}

// Help is what kalam mail test --help says beside the flags.
func (mailTestCmd) Help() string {
	return `Sends one mail at once, past the queue of the server, and shows what the SMTP server
answered. It reads section [mail] of the file and the variables KALAMDB_MAIL_..., as
kalam serve does; no server needs to run.

    kalam mail test you@example.com --config kalam.toml`
}

func (c *mailTestCmd) Run(s *streams) error {
	ctx, stop := interruptible()
	defer stop()
	config, err := c.config()
	if err != nil {
		return err
	}
	options, err := config.MailOptions()
	if err != nil {
		return err
	}
	answer, err := mail.Test(ctx, options, c.To)
	if err != nil {
		return fmt.Errorf("the test failed: %w", err)
	}
	_, err = fmt.Fprintf(s.out, "The SMTP server took the mail to %s and answered: %s\n", c.To, answer)
	return err
}
