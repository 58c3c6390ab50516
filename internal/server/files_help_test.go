package server_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io/fs"
	"mime/multipart"
	"net/textproto"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/kalamdb/kalam-go/internal/servertest"
)

// formPart is one part of a form.
type formPart struct {
	name, file, typ string
	content         string
	header          textproto.MIMEHeader // beside these
}

// form writes a multipart body.
func form(t testing.TB, parts ...formPart) (body *bytes.Buffer, contentType string) {
	t.Helper()
	body = new(bytes.Buffer)
	w := multipart.NewWriter(body)
	for _, f := range parts {
		h := textproto.MIMEHeader{}
		disposition := fmt.Sprintf(`form-data; name="%s"`, f.name)
		if f.file != "" {
			disposition += fmt.Sprintf(`; filename="%s"`, strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(f.file))
		}
		h.Set("Content-Disposition", disposition)
		if f.typ != "" {
			h.Set("Content-Type", f.typ)
		}
		for k, v := range f.header {
			h[k] = v
		}
		p, err := w.CreatePart(h)
		if err == nil {
			_, err = p.Write([]byte(f.content))
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return body, w.FormDataContentType()
}

// upload sends a form to the SQL route.
func upload(t testing.TB, s *servertest.Server, token string, parts ...formPart) answer {
	t.Helper()
	body, typ := form(t, parts...)
	return do(t, "POST", s.URL+"/v1/api/sql", body, "Content-Type", typ, "Authorization", "Bearer "+token)
}

// fileRef is a FILE cell.
type fileRef struct {
	ID, Sub, Name, MIME, SHA256 string
	Size                        int64
}

// refs are the FILE cells of a query with one column.
func refs(t testing.TB, s *servertest.Server, token, sql string) []fileRef {
	t.Helper()
	a := query(t, s, token, sql)
	var out struct {
		Results []struct{ Rows [][]*string }
		Error   any
	}
	if err := json.Unmarshal([]byte(a.body), &out); err != nil || out.Error != nil || len(out.Results) != 1 {
		t.Fatalf("%s: %s (%v)", sql, a.body, err)
	}
	var list []fileRef
	for _, row := range out.Results[0].Rows {
		if row[0] == nil {
			continue
		}
		var f fileRef
		if err := json.Unmarshal([]byte(*row[0]), &f); err != nil {
			t.Fatalf("%s: %v", *row[0], err)
		}
		list = append(list, f)
	}
	return list
}

// path is where a file of a table is read.
func (f fileRef) path(table string) string {
	return "/v1/files/" + strings.ReplaceAll(table, ".", "/") + "/" + f.Sub + "/" + f.ID
}

func get(t testing.TB, s *servertest.Server, token, path string, headers ...string) answer {
	t.Helper()
	if token != "" {
		headers = append(headers, "Authorization", "Bearer "+token)
	}
	return do(t, "GET", s.URL+path, nil, headers...)
}

// stored are the contents in the data folder, by their keys.
func stored(t testing.TB, s *servertest.Server) []string {
	t.Helper()
	var out []string
	root := filepath.Join(s.Dir, "files")
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() && d.Name() != "LOCK" {
			rel, _ := filepath.Rel(root, path)
			out = append(out, rel)
		}
		if os.IsNotExist(err) {
			return nil
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// eventually waits until a condition holds.
func eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	deadline := time.Now().Add(30 * time.Second)
	for !ok() {
		if time.Now().After(deadline) {
			t.Fatalf("not within 30 s: %s", what)
		}
		time.Sleep(5 * time.Millisecond)
	}
}
