package config

import (
	"errors"
	"fmt"
	"net/url"
	"os"
	"slices"
	"strings"

	"github.com/kalamdb/kalam-go/internal/account"
	"github.com/kalamdb/kalam-go/internal/mail"
)

// checkAccounts refuses settings of accounts and mails that make no sense.
func (c *Config) checkAccounts() error {
	a := &c.Auth.Accounts
	if !slices.Contains([]string{"", account.SignUpClosed, account.SignUpInvite, account.SignUpOpen}, a.SignUp) {
		return fmt.Errorf("[auth.accounts] signup: %q is not closed, invite or open", a.SignUp)
	}
	if !slices.Contains([]string{"", "required", "none"}, a.Email) {
		return fmt.Errorf("[auth.accounts] email: %q is not required or none", a.Email)
	}
	for _, origin := range a.AllowedRedirects {
		if !isOrigin(origin) {
			return fmt.Errorf("[auth.accounts] allowed_redirects: %q is not an origin such as https://app.example.com", origin)
		}
	}
	if o := c.Server.PublicOrigin; o != "" && !isOrigin(o) {
		return fmt.Errorf("[server] public_origin: %q is not an origin such as https://db.example.com", o)
	}
	if c.Mail.SMTP != "" && c.Mail.SMTPFile != "" {
		return errors.New("[mail] smtp and smtp_file: only one of them")
	}
	return nil
}

// isOrigin reports whether a text is a scheme and a host, and nothing else.
func isOrigin(text string) bool {
	u, err := url.Parse(text)
	return err == nil && (u.Scheme == "https" || u.Scheme == "http") && u.Host != "" && u.Scheme+"://"+u.Host == text && text == strings.ToLower(text)
}

// MailOptions are the options of the mail queue that the configuration sets.
func (c *Config) MailOptions() (mail.Options, error) {
	o := mail.Options{SMTP: c.Mail.SMTP, From: c.Mail.From, AppName: c.Mail.AppName, Templates: c.Mail.Templates}
	if c.Mail.SMTPFile != "" {
		b, err := os.ReadFile(c.Mail.SMTPFile)
		if err != nil {
			return o, fmt.Errorf("[mail] smtp_file: %w", err)
		}
		o.SMTP = strings.TrimSpace(string(b))
	}
	return o, nil
}

// AccountOptions are the options of accounts that the configuration sets.
func (c *Config) AccountOptions() account.Options {
	a := &c.Auth.Accounts
	return account.Options{
		SignUp: a.SignUp, WithoutEmail: a.Email == "none", Anonymous: a.Anonymous, AnonymousDays: a.AnonymousDays, MailsPerHour: a.MailsPerAddressHour,
		AllowedRedirects: a.AllowedRedirects, PublicOrigin: c.Server.PublicOrigin,
	}
}
