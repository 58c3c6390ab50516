package node_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/kalamdb/kalam-go/wire"
)

// TestErasingGoesOnAfterACrash kills the server after it has begun to erase a
// dropped user's data and before it says that nothing is left.
func TestErasingGoesOnAfterACrash(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	p := serve(t, dir)
	p.conn(p.login("admin")).must(t, "CREATE NAMESPACE gone", "CREATE USER TABLE gone.notes (id BIGINT PRIMARY KEY, body TEXT)",
		"CREATE STREAM TABLE gone.seen (id BIGINT PRIMARY KEY, body TEXT) WITH (TTL_SECONDS = 3600)")
	fill := func(user string) {
		c := p.conn(p.login(user))
		for i := range 10 {
			numbers := fmt.Sprintf("WITH RECURSIVE n(i) AS (SELECT %d UNION ALL SELECT i + 1 FROM n WHERE i < %d)", i*1000, i*1000+999)
			c.must(t, "INSERT INTO gone.notes "+numbers+" SELECT i, 'word-of-"+user+"' FROM n", "INSERT INTO gone.seen "+numbers+" SELECT i, 'word-of-"+user+"' FROM n")
		}
		c.must(t, "UPDATE gone.notes SET body = body || '!' WHERE id < 1000")
	}
	fill("alice")
	fill("bob")
	interrupted := false
	for wait := 8 * time.Millisecond; !interrupted; wait = wait * 3 / 2 {
		ctx, hangUp := context.WithTimeout(t.Context(), wait)
		_, err := p.conn(p.login("admin")).ask(ctx, &wire.Request{SQL: "DROP USER alice CASCADE"})
		hangUp()
		if err == nil {
			t.Fatal("the user is erased before the crash: the test needs more rows")
		}
		p.kill()
		p = serve(t, dir)
		// Her name is free again when nothing of her is left. As long as she is
		// there the drop had not been committed: later next time.
		for began := time.Now(); !interrupted; {
			_, err := p.conn(p.login("admin")).ask(t.Context(), &wire.Request{SQL: "CREATE USER alice WITH PASSWORD 'Another-pass-1'"})
			if interrupted = err == nil; interrupted {
				break
			}
			var e *wire.Error
			if !errors.As(err, &e) || e.Code != wire.CodeAlreadyExists {
				t.Fatal(err)
			}
			if !strings.Contains(e.Message, "under way") {
				break
			}
			if time.Since(began) > time.Minute {
				t.Fatalf("nobody goes on erasing: %v", err)
			}
		}
	}
	bob := p.conn(p.login("bob")).must(t, "SELECT count(*) FROM gone.notes WHERE body LIKE 'word-of-bob%'")
	if n := bob.Rows[0][0].Int(); n != 10_000 {
		t.Errorf("bob has %d rows", n)
	}
	p.stop()
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		b, err := os.ReadFile(path)
		if n := bytes.Count(b, []byte("word-of-alice")); n > 0 {
			t.Errorf("%s has a word of alice %d times", filepath.Base(path), n)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}
