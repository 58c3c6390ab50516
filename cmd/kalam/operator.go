package main

import (
	"fmt"
	"path/filepath"
	"time"

	"github.com/kalamdb/kalam-go/internal/config"
	"github.com/kalamdb/kalam-go/internal/keys"
	"github.com/kalamdb/kalam-go/internal/node"
	"github.com/kalamdb/kalam-go/internal/password"
)

// folder is the data folder of a server on this machine.
type folder struct {
	Data   string `placeholder:"DIR" help:"Data folder of the server (default ./data)."`
	Config string `placeholder:"FILE" help:"Configuration file of the server, which may name the folder."`
}

func (f *folder) config() (*config.Config, error) {
	return (&serveCmd{Data: f.Data, Config: f.Config}).config()
}

type keysCmd struct {
	List   keysListCmd   `cmd:"" help:"List the keys that sign access tokens."`
	Rotate keysRotateCmd `cmd:"" help:"Add a key that takes over."`
}

type keysListCmd struct{ folder }

func (c *keysListCmd) Run(s *streams) error {
	config, err := c.config()
	if err != nil {
		return err
	}
	list, err := keys.List(filepath.Join(config.Storage.DataPath, "keys"), time.Now())
	if err != nil {
		return err
	}
	for _, k := range list {
		from := "since the start"
		if !k.SignsFrom.IsZero() {
			from = "from " + k.SignsFrom.Local().Format("2006-01-02 15:04:05")
		}
		if k.Current {
			from += " (signs now)"
		}
		fmt.Fprintf(s.out, "%s  %s\n", k.ID, from)
	}
	return nil
}

type keysRotateCmd struct {
	folder
	Revoke bool `help:"The key may be known to others: the new one signs at once, the others are removed, every access token is void."`
}

// Help is what kalam keys rotate --help says beside the flags.
func (keysRotateCmd) Help() string {
	return `Adds a signing key to the data folder; a server that runs on it notices within a
second. The new key is published at /.well-known/jwks.json at once and signs after ten
minutes, when everybody has had the time to fetch it. Tokens of the old key are good
until their end.

With --revoke nothing overlaps. Sessions go on: clients get new access tokens with
their refresh tokens, which these keys do not sign.

A server that signs with KALAMDB_JWT_SECRET has no such keys: change the secret.`
}

func (c *keysRotateCmd) Run(s *streams) error {
	config, err := c.config()
	if err != nil {
		return err
	}
	if config.Auth.JWTSecret != "" {
		return fmt.Errorf("this server signs with KALAMDB_JWT_SECRET: change that and restart it")
	}
	k, err := keys.Rotate(filepath.Join(config.Storage.DataPath, "keys"), time.Now(), c.Revoke)
	if err != nil {
		return err
	}
	if c.Revoke {
		_, err = fmt.Fprintf(s.out, "Key %s signs now. Every access token before is void.\n", k.ID)
		return err
	}
	_, err = fmt.Fprintf(s.out, "Key %s is published and signs from %s on.\n", k.ID, k.SignsFrom.Local().Format("15:04:05"))
	return err
}

type userCmd struct {
	SetPassword setPasswordCmd `cmd:"" help:"Set a user's password on a stopped server, as when root's is lost."`
}

type setPasswordCmd struct {
	folder
	Name string `arg:"" help:"The user."`
}

// Help is what kalam user set-password --help says beside the flags.
func (setPasswordCmd) Help() string {
	return `Works on the data folder of a server that does not run; who can write there needs no
other proof. The user's sessions end. Asks twice for the password, or reads it from the
standard input.

    kalam user set-password root --data ./data`
}

func (c *setPasswordCmd) Run(s *streams) error {
	ctx, stop := interruptible()
	defer stop()
	config, err := c.config()
	if err != nil {
		return err
	}
	password, err := newAsker(s).newPassword("New password of "+c.Name, "the password")
	if err != nil {
		return err
	}
	if err := node.SetPassword(ctx, config, c.Name, password); err != nil {
		return err
	}
	_, err = fmt.Fprintf(s.out, "The password of %s is set.\n", c.Name)
	return err
}

// hashCmd is the process that makes password hashes for kalam serve.
type hashCmd struct{}

func (hashCmd) Run(s *streams) error { return password.ServeHashes(s.in, s.out) }
