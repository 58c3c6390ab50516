package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/kalamdb/kalam-go/internal/servertest"
)

func TestFileCommands(t *testing.T) {
	s := servertest.Start(t, servertest.Options{})
	p := signedIn(t, s, "admin")
	p.ok("", "sql", "-e", `CREATE USER TABLE chat.notes (id INT PRIMARY KEY, "a title" TEXT, photo FILE)`)
	dir := t.TempDir()
	cat := filepath.Join(dir, "the cat.jpg")
	content := strings.Repeat("a photo of a cat ", 100_000)
	if err := os.WriteFile(cat, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	p.ok("", "file", "put", "chat.notes", "photo", cat, "id=1", "a title=it's 1=1")
	if out := p.ok("", "sql", "--csv", "-e", `SELECT id, "a title", photo FROM chat.notes`); !strings.Contains(out, "it's 1=1") || !strings.Contains(out, `the cat.jpg`) {
		t.Errorf("the row is %s", out)
	}
	out := filepath.Join(dir, "out")
	if err := os.Mkdir(out, 0o700); err != nil {
		t.Fatal(err)
	}
	for _, where := range []string{out, filepath.Join(out, "other.jpg")} {
		p.ok("", "file", "get", "chat.notes", "photo", "id=1", "-o", where)
	}
	for _, name := range []string{"the cat.jpg", "other.jpg"} {
		if got, err := os.ReadFile(filepath.Join(out, name)); err != nil || string(got) != content {
			t.Errorf("%s has %d bytes, %v", name, len(got), err)
		}
	}
	p.fails(1, "is there already", "file", "get", "chat.notes", "photo", "id=1", "-o", out)
	p.ok("", "file", "get", "chat.notes", "photo", "id=1", "-o", out, "-f")
	if entries, err := os.ReadDir(out); err != nil || len(entries) != 2 {
		t.Errorf("left behind: %v, %v", entries, err)
	}

	p.ok("from a pipe", "file", "put", "chat.notes", "photo", "-", "id=1", "--update", "--name", "p.txt")
	if got := p.ok("", "file", "get", "chat.notes", "photo", "id=1", "-o", "-"); got != "from a pipe" {
		t.Errorf("got %q", got)
	}

	p.ok("", "sql", "-e", "INSERT INTO chat.notes (id) VALUES (2)")
	p.fails(1, "has no file", "file", "get", "chat.notes", "photo", "id=2", "-o", "-")
	p.fails(1, "no row with id=3", "file", "get", "chat.notes", "photo", "id=3")
	p.fails(1, "no row with id=3", "file", "put", "chat.notes", "photo", cat, "id=3", "--update")
	p.fails(1, "already exists", "file", "put", "chat.notes", "photo", cat, "id=1")
	p.fails(1, "no such file", "file", "put", "chat.notes", "photo", cat+"x", "id=4")
	p.fails(1, "is a folder", "file", "put", "chat.notes", "photo", dir, "id=4")
	p.fails(2, "not COLUMN=VALUE", "file", "put", "chat.notes", "photo", cat, "4")
	p.fails(1, "FILE", "file", "put", "chat.notes", "a title", cat, "id=4")
}
