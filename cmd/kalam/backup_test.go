package main

import (
	"archive/tar"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/kalamdb/kalam-go/auth"
	"github.com/kalamdb/kalam-go/client"
	"github.com/kalamdb/kalam-go/internal/servertest"
)

// unpack restores an archive into a new folder, as tar -xf does.
func unpack(t *testing.T, archive, dir string) {
	t.Helper()
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	f, err := os.Open(archive)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for r := tar.NewReader(f); ; {
		h, err := r.Next()
		if err == io.EOF {
			return
		}
		if err != nil {
			t.Fatal(err)
		}
		path := filepath.Join(dir, filepath.Clean("/"+h.Name))
		if h.Typeflag == tar.TypeDir {
			err = os.MkdirAll(path, os.FileMode(h.Mode))
		} else {
			var b []byte
			if b, err = io.ReadAll(r); err == nil {
				err = os.WriteFile(path, b, os.FileMode(h.Mode))
			}
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}

func newClient(t *testing.T, url, user string) *client.Client {
	t.Helper()
	c, err := client.New(url, auth.Static(auth.Basic(user, servertest.Password)), client.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

func TestBackupOfABusyServerHoldsWhatWasAnswered(t *testing.T) {
	s := servertest.Start(t, servertest.Options{})
	p := newPerson(t)
	api := newClient(t, s.URL, "alice")
	// Pairs of rows: one transaction each, so that half of one would show.
	var answered atomic.Int64
	insert := func(n int64) error {
		_, err := api.Batch(t.Context(), []client.Statement{
			client.Stmt("INSERT INTO chat.messages (id, body) VALUES ($1, 'first')", 2*n),
			client.Stmt("INSERT INTO chat.messages (id, body) VALUES ($1, 'second')", 2*n+1),
		})
		return err
	}
	stop := make(chan struct{})
	began := make(chan struct{})
	var writing sync.WaitGroup
	writing.Go(func() {
		for n := int64(1); ; n++ {
			select {
			case <-stop:
				return
			default:
			}
			if err := insert(n); err != nil {
				t.Errorf("insert: %v", err)
				return
			}
			if answered.Store(n); n == 200 {
				close(began)
			}
		}
	})
	<-began
	archive := filepath.Join(p.home, "copy.tar")
	before := answered.Load()
	p.ok("", "backup", "--data", s.Dir, archive)
	after := answered.Load()
	close(stop)
	writing.Wait()
	if m := mode(t, archive); m != 0o600 {
		t.Errorf("the archive has mode %o", m)
	}

	dir := filepath.Join(p.home, "restored")
	unpack(t, archive, dir)
	restored := servertest.Start(t, servertest.Options{Dir: dir})
	row, err := newClient(t, restored.URL, "alice").QueryRow(t.Context(),
		"SELECT count(*) AS n, min(id) AS low, max(id) AS high FROM chat.messages WHERE id BETWEEN 2 AND $1", 1<<40)
	if err != nil {
		t.Fatal(err)
	}
	n, high := row.Int("n"), row.Int("high")
	if row.Int("low") != 2 || n != high-1 || n%2 != 0 || n < 2*before || n > 2*(after+1) {
		t.Errorf("%d rows up to %d; answered %d pairs before and %d after the backup", n, high, before, after)
	}
	// The keys came along: a session of the one server is one of its copy.
	q := signedIn(t, s, "bob")
	p.ok("", "backup", "--data", s.Dir, filepath.Join(p.home, "again.tar"))
	dir = filepath.Join(p.home, "again")
	unpack(t, filepath.Join(p.home, "again.tar"), dir)
	copied := servertest.Start(t, servertest.Options{Dir: dir})
	q.edit(func(k *session) { k.URL = copied.URL })
	q.ok("", "sql", "-e", "SELECT 1")
}

func TestBackupRefusesWhatItCannotDo(t *testing.T) {
	s := servertest.Start(t, servertest.Options{})
	p := newPerson(t)
	archive := filepath.Join(p.home, "copy.tar")
	p.ok("", "backup", "--data", s.Dir, archive)
	info, err := os.Stat(archive)
	if err != nil {
		t.Fatal(err)
	}
	p.fails(1, "is there already", "backup", "--data", s.Dir, archive)
	if again, err := os.Stat(archive); err != nil || again.ModTime() != info.ModTime() {
		t.Errorf("the archive was touched: %v", err)
	}
	p.fails(1, "is no data folder", "backup", "--data", filepath.Join(p.home, "nothing"), filepath.Join(p.home, "x.tar"))
	p.fails(1, "no such file", "backup", "--data", s.Dir, filepath.Join(p.home, "no", "folder.tar"))
	entries, err := os.ReadDir(p.home)
	if err != nil {
		t.Fatal(err)
	}
	if got := fmt.Sprint(entries); len(entries) != 1 {
		t.Errorf("left behind: %s", got)
	}
}

// TestBackupGoesToTheStandardOutput restores what came through a pipe.
func TestBackupGoesToTheStandardOutput(t *testing.T) {
	s := servertest.Start(t, servertest.Options{})
	p := newPerson(t, "TMPDIR="+t.TempDir())
	archive := p.ok("", "backup", "--data", s.Dir, "-")
	path := filepath.Join(t.TempDir(), "piped.tar")
	if err := os.WriteFile(path, []byte(archive), 0o600); err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(p.home, "restored")
	unpack(t, path, dir)
	restored := servertest.Start(t, servertest.Options{Dir: dir})
	if out := signedIn(t, restored, "alice").ok("", "sql", "--csv", "-e", "SELECT body FROM chat.messages"); out != "body\nOnly alice sees this row.\n" {
		t.Errorf("restored: %s", out)
	}
	if left, err := os.ReadDir(strings.TrimPrefix(p.env[0], "TMPDIR=")); err != nil || len(left) > 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
	p.fails(1, "is no data folder", "backup", "--data", filepath.Join(p.home, "nothing"), "-")
}
