package main

import (
	"errors"
	"fmt"

	"github.com/kalamdb/kalam-go/auth"
	"github.com/kalamdb/kalam-go/client"
	"github.com/kalamdb/kalam-go/internal/identity"
)

type setupCmd struct {
	remote
	User  string `placeholder:"NAME" help:"The first admin; asked for when left out."`
	Email string `placeholder:"ADDRESS" help:"The admin's e-mail address."`
}

// Help is what kalam setup --help says beside the flags.
func (setupCmd) Help() string {
	return `A new server lets nobody in until it is set up, from its own machine. This asks for
the first admin (role dba) and for two passwords: the admin's, and that of root, the
user above all others that you keep for emergencies.

Unattended, the answers are lines of the standard input, without those that are
flags: user, password, password of root.

    kalam setup
    kalam setup --user admin < two-passwords.txt

Setting KALAMDB_ROOT_PASSWORD for kalam serve sets up root alone.`
}

func (c *setupCmd) Run(s *streams) error {
	ctx, stop := interruptible()
	defer stop()
	url, err := c.address()
	if err != nil {
		return err
	}
	api, err := client.New(url, auth.Static(auth.Auth{}), client.Options{})
	if err != nil {
		return err
	}
	defer api.Close()
	needed, err := api.NeedsSetup(ctx)
	if err != nil {
		return explain(err, url)
	}
	if !needed {
		return fmt.Errorf("%s is set up already: sign in with kalam login", url)
	}
	in, err := c.ask(newAsker(s), url)
	if err != nil {
		return err
	}
	if err := api.Setup(ctx, *in); err != nil {
		if isCode(err, identity.CodeAlreadyConfigured) {
			return fmt.Errorf("somebody else was faster: %w", err)
		}
		return explain(err, url)
	}
	flag := ""
	if url != defaultURL {
		flag = "--url " + url + " "
	}
	_, err = fmt.Fprintf(s.out, `The server is set up. Sign in and make the first user:

  kalam login %s%s
  kalam sql -e "CREATE USER alice WITH PASSWORD 'choose-a-good-one' ROLE user"
`, flag, in.User)
	return err
}

func (c *setupCmd) ask(a *asker, url string) (*client.FirstAdmin, error) {
	in := &client.FirstAdmin{User: c.User, Email: c.Email}
	if a.person() {
		fmt.Fprintf(a.s.err, "Setting up %s.\n\n", url)
	}
	var err error
	if in.User == "" {
		if in.User, err = a.line("Name of the first admin [admin]: ", "the name of the admin"); err != nil {
			return nil, err
		}
		if in.User == "" {
			in.User = "admin"
		}
	}
	if in.Email == "" && a.person() {
		if in.Email, err = a.line("E-mail address (may be empty): ", "the e-mail address"); err != nil {
			return nil, err
		}
	}
	if in.Password, err = a.newPassword("Password of "+in.User, "the password"); err != nil {
		return nil, err
	}
	if in.RootPassword, err = a.newPassword("Password of root", "the password of root"); err != nil {
		return nil, err
	}
	if in.Password == "" || in.RootPassword == "" {
		return nil, errors.New("a password cannot be empty")
	}
	if in.Password == in.RootPassword {
		return nil, fmt.Errorf("%s and root cannot have the same password: root's is for emergencies, keep it apart", in.User)
	}
	return in, a.done()
}
