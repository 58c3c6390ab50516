package dialect_test

import (
	"slices"
	"testing"

	"github.com/kalamdb/kalam-go/internal/dialect"
)

func TestSplitCutsAScriptIntoRequests(t *testing.T) {
	for _, c := range []struct {
		script string
		parts  []string
		open   bool
	}{
		{"", nil, false},
		{" ; ;; ", nil, false},
		{"-- nothing", nil, false},
		{"SELECT 1", []string{"SELECT 1"}, true},
		{"SELECT 1;", []string{"SELECT 1"}, false},
		{"SELECT 1; SELECT 2 ;", []string{"SELECT 1", "SELECT 2 "}, false},
		{"SELECT ';' /* ; */ -- ;\n, \";\", $$;$$; SELECT 2", []string{"SELECT ';' /* ; */ -- ;\n, \";\", $$;$$", "SELECT 2"}, true},
		{"SELECT 'it''s; ", []string{"SELECT 'it''s"}, true},
		{"SELECT 1; /* and", []string{"SELECT 1"}, true},
		{"BEGIN; INSERT INTO t VALUES (1); COMMIT; SELECT 1;", []string{"BEGIN; INSERT INTO t VALUES (1); COMMIT", "SELECT 1"}, false},
		{"BEGIN; INSERT INTO t VALUES (1);", []string{"BEGIN; INSERT INTO t VALUES (1);"}, true},
		{"BEGIN; ROLLBACK TO SAVEPOINT s; COMMIT; SELECT 1;", []string{"BEGIN; ROLLBACK TO SAVEPOINT s; COMMIT", "SELECT 1"}, false},
		{"BEGIN; ROLLBACK; SELECT 1;", []string{"BEGIN; ROLLBACK", "SELECT 1"}, false},
		{"SELECT case when a then b end; SELECT 2;", []string{"SELECT case when a then b end", "SELECT 2"}, false},
		{"SELECT # 1;", []string{"SELECT # 1"}, false},
		{"SELECT é;", []string{"SELECT é"}, false},
	} {
		parts, open := dialect.Split(c.script)
		var texts []string
		for _, p := range parts {
			texts = append(texts, c.script[p.Start:p.End])
		}
		if !slices.Equal(texts, c.parts) || open != c.open {
			t.Errorf("%q: %q open %v, want %q open %v", c.script, texts, open, c.parts, c.open)
		}
	}
}

func FuzzSplitTakesAnyBytes(f *testing.F) {
	f.Add("BEGIN; SELECT 'a;b'; COMMIT; /* x")
	f.Add("SELECT 1;; E'\\';")
	f.Fuzz(func(t *testing.T, script string) {
		parts, _ := dialect.Split(script)
		end := 0
		for _, p := range parts {
			if p.Start < end || p.End < p.Start || p.End > len(script) {
				t.Fatalf("part %v after %d in %q", p, end, script)
			}
			end = p.End
		}
	})
}
