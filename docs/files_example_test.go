package docs_test

import (
	"bytes"
	"context"
	"io"
	"os"
	"testing"

	"github.com/kalamdb/kalam-go/auth"
	"github.com/kalamdb/kalam-go/client"
	"github.com/kalamdb/kalam-go/internal/servertest"
)

// progress stands for whatever shows how far an upload is.
type progress struct{ sent int64 }

func (p *progress) Set(sent int64) { p.sent = sent }

func putPhoto(ctx context.Context, db *client.Client, bar *progress) error {
	f, err := os.Open("cat.jpg")
	if err != nil {
		return err
	}
	defer f.Close()
	_, err = db.ExecFiles(ctx, `INSERT INTO app.notes (id, title, photo) VALUES ($1, $2, FILE("picture"))`,
		client.Files{"picture": {Name: "cat.jpg", Body: f, OnProgress: func(sent int64) { bar.Set(sent) }}},
		1, "the cat")
	return err
}

func getPhoto(ctx context.Context, db *client.Client, out io.Writer) error {
	row, err := db.QueryRow(ctx, "SELECT photo FROM app.notes WHERE id = $1", 1)
	if err != nil {
		return err
	}
	var photo client.FileRef
	if err := row.Scan(&photo); err != nil {
		return err
	}
	body, err := db.OpenFile(ctx, "app.notes", &photo, client.Range{Offset: 2, Length: 3})
	if err != nil {
		return err
	}
	defer body.Close()
	_, err = io.Copy(out, body)
	return err
}

// TestFilesInGo runs what files.md shows in Go.
func TestFilesInGo(t *testing.T) {
	server := servertest.Start(t, servertest.Options{})
	user := func(name string) *client.Client {
		db, err := client.New(server.URL, auth.Static(auth.Basic(name, servertest.Password)), client.Options{})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { db.Close() })
		return db
	}
	for _, sql := range []string{"CREATE NAMESPACE app", "CREATE USER TABLE app.notes (id INT PRIMARY KEY, title TEXT, photo FILE)"} {
		if _, err := user("admin").Exec(t.Context(), sql); err != nil {
			t.Fatal(err)
		}
	}
	t.Chdir(t.TempDir())
	if err := os.WriteFile("cat.jpg", []byte("a photo"), 0o600); err != nil {
		t.Fatal(err)
	}
	alice, bar, out := user("alice"), &progress{}, &bytes.Buffer{}
	if err := putPhoto(t.Context(), alice, bar); err != nil {
		t.Fatal(err)
	}
	if err := getPhoto(t.Context(), alice, out); err != nil {
		t.Fatal(err)
	}
	if out.String() != "pho" || bar.sent != 7 {
		t.Errorf("got %q after %d bytes", out, bar.sent)
	}
}
