package mail

import (
	"bytes"
	"embed"
	"errors"
	"fmt"
	htmltemplate "html/template"
	"io/fs"
	"os"
	"strings"
	texttemplate "text/template"
)

//go:embed templates
var builtin embed.FS

// templates are the texts of mails, by purpose. A text begins with a line
// "Subject: ...".
type templates struct {
	text *texttemplate.Template
	html *htmltemplate.Template
}

// content is what a template may use.
type content struct {
	App  string
	Code string
	Link string
}

// rendered is a mail as it is sent.
type rendered struct {
	subject, text, html string
}

// loadTemplates reads the built-in templates and those of a folder, which
// replace built-in ones of the same name.
func loadTemplates(folder string) (templates, error) {
	var t templates
	own, err := fs.Sub(builtin, "templates")
	if err != nil {
		return t, err
	}
	if t.text, err = texttemplate.ParseFS(own, "*.txt"); err != nil {
		return t, err
	}
	if t.html, err = htmltemplate.ParseFS(own, "*.html"); err != nil {
		return t, err
	}
	if folder == "" {
		return t, nil
	}
	theirs := os.DirFS(folder)
	names, err := fs.Glob(theirs, "*")
	if err != nil || len(names) == 0 {
		return t, fmt.Errorf("mail templates: %s has no files", folder)
	}
	for _, name := range names {
		switch {
		case strings.HasSuffix(name, ".txt") && t.text.Lookup(name) != nil:
			t.text, err = t.text.ParseFS(theirs, name)
		case strings.HasSuffix(name, ".html") && t.html.Lookup(name) != nil:
			t.html, err = t.html.ParseFS(theirs, name)
		default:
			err = errors.New("is none of the templates: they are verify, login, reset, known, changed and invite, each as .txt and .html")
		}
		if err != nil {
			return t, fmt.Errorf("mail templates: %s: %w", name, err)
		}
	}
	return t, t.check()
}

// check renders every template once, so that a broken one is found at the start.
func (t *templates) check() error {
	for _, p := range []Purpose{Verify, Login, Reset, Known, Changed, Invite} {
		if _, err := t.render(&Message{Purpose: p, Code: "123456", Link: "https://example.com/"}, "App"); err != nil {
			return fmt.Errorf("mail templates: %w", err)
		}
	}
	return nil
}

func (t *templates) render(m *Message, app string) (*rendered, error) {
	c := content{App: app, Code: m.Code, Link: m.Link}
	var text, html bytes.Buffer
	if err := t.text.ExecuteTemplate(&text, string(m.Purpose)+".txt", c); err != nil {
		return nil, err
	}
	if err := t.html.ExecuteTemplate(&html, string(m.Purpose)+".html", c); err != nil {
		return nil, err
	}
	head, body, _ := strings.Cut(text.String(), "\n")
	subject, ok := strings.CutPrefix(head, "Subject: ")
	if !ok {
		return nil, fmt.Errorf("%s.txt does not begin with a line \"Subject: ...\"", m.Purpose)
	}
	return &rendered{strings.TrimSpace(subject), strings.TrimLeft(body, "\n"), html.String()}, nil
}

// print is a mail as a terminal shows it.
func (m *rendered) print(to string) string {
	return "Mail to " + to + "\nSubject: " + m.subject + "\n\n" + m.text
}

// Mask shows of an address what its owner recognises: a***@example.com.
func Mask(address string) string {
	name, domain, ok := strings.Cut(address, "@")
	if !ok || name == "" {
		return "***"
	}
	first := []rune(name)[:1]
	return string(first) + "***@" + domain
}
