package main

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"mime/multipart"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"github.com/kalamdb/kalam-go/internal/servertest"
	"github.com/kalamdb/kalam-go/wire"
)

// token signs a user in by hand.
func token(t *testing.T, url, user string) string {
	t.Helper()
	body := wire.AppendLoginRequest(nil, &wire.LoginRequest{User: user, Password: servertest.Password})
	res, err := http.Post(url+"/v1/api/auth/login", "application/json", bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	answer, _ := io.ReadAll(res.Body)
	l, err := wire.DecodeLoginResponse(answer)
	if err != nil {
		t.Fatalf("%v: %s", err, answer)
	}
	return l.AccessToken
}

// put sends a statement with the file "a".
func put(t *testing.T, url, token, sql, content string) error {
	var body bytes.Buffer
	w := multipart.NewWriter(&body)
	w.WriteField("sql", sql)
	p, err := w.CreateFormFile("file:a", "a.txt")
	if err != nil {
		return err
	}
	p.Write([]byte(content))
	w.Close()
	req, err := http.NewRequestWithContext(t.Context(), "POST", url+"/v1/api/sql", &body)
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", w.FormDataContentType())
	req.Header.Set("Authorization", "Bearer "+token)
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	answer, err := io.ReadAll(res.Body)
	if err == nil && res.StatusCode != 200 {
		err = fmt.Errorf("%d %s", res.StatusCode, answer)
	}
	return err
}

// TestBackupHoldsTheFilesOfItsRows makes copies while files come and go.
func TestBackupHoldsTheFilesOfItsRows(t *testing.T) {
	s := servertest.Start(t, servertest.Options{})
	p := newPerson(t)
	admin := token(t, s.URL, "admin")
	api := newClient(t, s.URL, "admin")
	for _, sql := range []string{"CREATE NAMESPACE app", "CREATE USER TABLE app.docs (id INT PRIMARY KEY, body FILE)"} {
		if _, err := api.Exec(t.Context(), sql); err != nil {
			t.Fatal(err)
		}
	}
	stop, began := make(chan struct{}), make(chan struct{})
	var writing sync.WaitGroup
	writing.Go(func() {
		for n := 1; ; n++ {
			select {
			case <-stop:
				return
			default:
			}
			err := put(t, s.URL, admin, fmt.Sprintf("INSERT INTO app.docs VALUES (%d, FILE('a'))", n), fmt.Sprint("content ", n))
			if err == nil && n > 5 {
				_, err = api.Exec(t.Context(), "DELETE FROM app.docs WHERE id = $1", n-5)
			}
			if err != nil {
				t.Errorf("write %d: %v", n, err)
			}
			if n == 10 {
				close(began)
			}
		}
	})
	<-began
	var archives []string
	for i := range 3 {
		archives = append(archives, filepath.Join(p.home, fmt.Sprintf("copy%d.tar", i)))
		p.ok("", "backup", "--data", s.Dir, archives[i])
	}
	close(stop)
	writing.Wait()
	for i, archive := range archives {
		dir := filepath.Join(p.home, fmt.Sprint("restored", i))
		unpack(t, archive, dir)
		paths, err := filepath.Glob(filepath.Join(dir, "files", "f*", "*"))
		if err != nil {
			t.Fatal(err)
		}
		copied := servertest.Start(t, servertest.Options{Dir: dir})
		rows, err := newClient(t, copied.URL, "admin").Query(t.Context(), "SELECT body FROM app.docs")
		if err != nil {
			t.Fatal(err)
		}
		n := 0
		for _, row := range rows.Rows() {
			ref, err := wire.DecodeFileRef(row.Text("body"))
			if err != nil {
				t.Fatal(err)
			}
			content, err := os.ReadFile(filepath.Join(dir, "files", ref.Sub, ref.ID))
			if sum := sha256.Sum256(content); err != nil || hex.EncodeToString(sum[:]) != ref.SHA256 {
				t.Errorf("file %s: %v, %q", ref.ID, err, content)
			}
			n++
		}
		if n < 5 || len(paths) != n {
			t.Errorf("%d rows, %d contents", n, len(paths))
		}
	}
}
