package node_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"mime/multipart"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/kalamdb/kalam-go/internal/testsize"
	"github.com/kalamdb/kalam-go/wire"
)

// put sends a statement with the file "a".
func (c *conn) put(ctx context.Context, sql string, content []byte) error {
	var body bytes.Buffer
	w := multipart.NewWriter(&body)
	w.WriteField("sql", sql)
	p, err := w.CreateFormFile("file:a", "a.bin")
	if err == nil {
		p.Write(content)
		err = w.Close()
	}
	if err != nil {
		return err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, c.url+"/v1/api/sql", &body)
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", w.FormDataContentType())
	req.Header.Set("Authorization", "Bearer "+c.token)
	res, err := c.http.Do(req)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	answer, err := io.ReadAll(res.Body)
	if err != nil {
		return err
	}
	r, err := wire.DecodeResponse(answer)
	if err == nil && r.Err != nil {
		return r.Err
	}
	return err
}

// filer writes rows of its own with files.
type filer struct {
	id    int
	rnd   *rand.Rand
	sure  map[int]string // the SHA-256 of each row's file, as acknowledged
	maybe map[int]string // what it is if the request without an answer was done; else nil
}

// run writes until the server is gone.
func (f *filer) run(c *conn, acknowledged *atomic.Int64) error {
	for {
		row := f.id*100 + f.rnd.IntN(20)
		after := maps.Clone(f.sure)
		var err error
		if _, ok := f.sure[row]; ok && f.rnd.IntN(3) == 0 {
			delete(after, row)
			_, err = c.ask(context.Background(), &wire.Request{SQL: fmt.Sprintf("DELETE FROM crash.files WHERE id = %d", row)})
		} else {
			content := make([]byte, f.rnd.IntN(400_000))
			for i := 0; i < len(content); i += 997 {
				content[i] = byte(f.rnd.Uint32())
			}
			sum := sha256.Sum256(content)
			after[row] = hex.EncodeToString(sum[:])
			sql := fmt.Sprintf("INSERT INTO crash.files VALUES (%d, FILE('a'), NULL) ON CONFLICT (id) DO UPDATE SET body = EXCLUDED.body", row)
			if ok && f.rnd.IntN(2) == 0 {
				sql = fmt.Sprintf("UPDATE crash.files SET body = FILE('a'), also = FILE('a') WHERE id = %d", row)
			}
			err = c.put(context.Background(), sql, content)
		}
		if err != nil {
			f.maybe = after
			var refused *wire.Error
			if errors.As(err, &refused) {
				return err
			}
			return nil
		}
		f.sure = after
		acknowledged.Add(1)
	}
}

// TestCrashLeavesNoFileWithoutARow kills the server again and again while files
// go up, and compares rows and contents after each start, in both directions.
// KALAM_FILE_CRASH_ROUNDS sets how often.
func TestCrashLeavesNoFileWithoutARow(t *testing.T) {
	t.Parallel()
	rounds := testsize.Of(t, "KALAM_FILE_CRASH_ROUNDS", 6)
	dir := t.TempDir()
	p := serve(t, dir)
	token := p.login("admin")
	p.conn(token).must(t, "CREATE NAMESPACE crash", "CREATE USER TABLE crash.files (id INT PRIMARY KEY, body FILE, also FILE)")
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	rnd := rand.New(rand.NewPCG(seed, 0))
	var filers []*filer
	for i := range 4 {
		filers = append(filers, &filer{id: i, rnd: rand.New(rand.NewPCG(seed, uint64(i+1))), sure: map[int]string{}})
	}
	orphans := 0
	for round := range rounds {
		var acknowledged atomic.Int64
		var running sync.WaitGroup
		over := make(chan error, len(filers))
		for _, f := range filers {
			running.Go(func() { over <- f.run(p.conn(token), &acknowledged) })
		}
		for enough := 1 + rnd.Int64N(40); acknowledged.Load() < enough; {
			select {
			case err := <-over:
				t.Fatalf("a writer ended by itself: %v: %s", err, p.logs.String())
			case <-time.After(time.Millisecond):
			}
		}
		<-time.After(time.Duration(rnd.IntN(10_000)) * time.Microsecond)
		p.kill()
		running.Wait()
		left := len(contents(t, dir))
		p = serve(t, dir)
		agree(t, p.conn(token), dir, filers)
		orphans += left - len(contents(t, dir))
		if t.Failed() {
			t.Fatalf("round %d of %d", round+1, rounds)
		}
	}
	t.Logf("%d contents without a row were removed in %d starts", orphans, rounds)
	p.stop()
}

// agree compares rows, contents and what the writers know.
func agree(t *testing.T, c *conn, dir string, filers []*filer) {
	t.Helper()
	disk := contents(t, dir)
	unseen := maps.Clone(disk)
	got := make(map[int]map[int]string)
	for _, row := range c.must(t, "SELECT id, body, also FROM crash.files").Rows {
		id := int(row[0].Int())
		for i, cell := range row[1:] {
			if cell.IsNull() {
				continue
			}
			ref, err := wire.DecodeFileRef(cell.Text())
			if err != nil {
				t.Fatalf("row %d: %v", id, err)
			}
			sum, ok := disk[ref.Sub+"/"+ref.ID]
			if !ok || sum != ref.SHA256 {
				t.Errorf("row %d: its file %s has the content %q, want %s", id, ref.ID, sum, ref.SHA256)
			}
			delete(unseen, ref.Sub+"/"+ref.ID)
			if i == 0 {
				if got[id/100] == nil {
					got[id/100] = make(map[int]string)
				}
				got[id/100][id] = ref.SHA256
			}
		}
	}
	for key := range unseen {
		t.Errorf("the content %s belongs to no row", key)
	}
	for _, f := range filers {
		switch have := got[f.id]; {
		case maps.Equal(have, f.sure):
		case f.maybe != nil && maps.Equal(have, f.maybe):
			f.sure = f.maybe
		default:
			t.Errorf("writer %d: the rows are neither those acknowledged nor those of the request under way\ngot          %v\nacknowledged %v\nunder way    %v", f.id, have, f.sure, f.maybe)
		}
		f.maybe = nil
	}
}

// contents are the SHA-256 of the contents in a data folder, by their keys.
func contents(t *testing.T, dir string) map[string]string {
	t.Helper()
	paths, err := filepath.Glob(filepath.Join(dir, "files", "f*", "*"))
	if err != nil {
		t.Fatal(err)
	}
	out := make(map[string]string)
	for _, path := range paths {
		b, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		sum := sha256.Sum256(b)
		out[filepath.Base(filepath.Dir(path))+"/"+filepath.Base(path)] = hex.EncodeToString(sum[:])
	}
	return out
}
