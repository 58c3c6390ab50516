package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/kalamdb/kalam-go/internal/config"
	"github.com/kalamdb/kalam-go/internal/servertest"
)

// TestMailTestShowsTheAnswer sends to a real SMTP server, configured in each of
// the three ways.
func TestMailTestShowsTheAnswer(t *testing.T) {
	server := servertest.StartMail(t)
	config := &config.Config{}
	server.Config(config)
	p := newPerson(t)
	write := func(name, text string) string {
		path := filepath.Join(p.home, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	file := write("kalam.toml", fmt.Sprintf("[mail]\nsmtp = %q\nfrom = \"hello@example.com\"\napp_name = \"Tasks\"\n", config.Mail.SMTP))
	indirect := write("indirect.toml", fmt.Sprintf("[mail]\nsmtp_file = %q\n", write("smtp", config.Mail.SMTP+"\n")))
	sent := func(out string) {
		t.Helper()
		if !strings.Contains(out, "you@example.com") || !strings.Contains(out, "2.0.0 Ok") {
			t.Errorf("it prints %q", out)
		}
	}
	sent(p.ok("", "mail", "test", "you@example.com", "--config", file))
	if m := server.Wait("you@example.com", 1); m.Subject != "A test from Tasks" || !strings.Contains(m.HTML, "Tasks") {
		t.Errorf("the mail is %+v", m)
	}
	sent(p.ok("", "mail", "test", "you@example.com", "--config", indirect))
	sent(newPerson(t, "KALAMDB_MAIL_SMTP="+config.Mail.SMTP).ok("", "mail", "test", "you@example.com"))
	server.Wait("you@example.com", 3)
}

// TestMailTestSaysWhatIsWrong: each failure has its reason, and no password.
func TestMailTestSaysWhatIsWrong(t *testing.T) {
	const secret = "un/mistakable"
	server := servertest.StartMail(t)
	config := &config.Config{}
	server.Config(config)
	address := strings.TrimPrefix(config.Mail.SMTP, "smtp://")
	fails := func(smtp, to, why string) {
		t.Helper()
		o := newPerson(t, "KALAMDB_MAIL_SMTP="+smtp).run("", "mail", "test", to)
		if o.code != exitFailed || o.out != "" || !strings.Contains(o.err, why) {
			t.Errorf("%s: exit code %d\n%s%s", smtp, o.code, o.out, o.err)
		}
		for _, form := range []string{secret, "un%2Fmistakable", "unmistakable"} {
			if strings.Contains(o.err, form) {
				t.Errorf("it shows the password: %s", o.err)
			}
		}
	}
	fails("", "you@example.com", "[mail] smtp")
	fails("ftp://kalam:un%2Fmistakable@"+address, "you@example.com", "smtps://")
	fails("smtp://kalam:un/mistakable@"+address, "you@example.com", "URL")
	fails("smtp://"+address, "you", "the recipient's address")
	fails("smtp://kalam:un%2Fmistakable@"+address, "you@example.com", "AUTH")
	fails("smtps://kalam:un%2Fmistakable@"+address, "you@example.com", "tls")
	server.Stop()
	fails("smtp://kalam:un%2Fmistakable@"+address, "you@example.com", "refused")
}
