package engine_test

import (
	"context"
	"errors"
	"flag"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/kalamdb/kalam-go/internal/engine"
	"github.com/kalamdb/kalam-go/internal/identity"
	"github.com/kalamdb/kalam-go/wire"
)

var update = flag.Bool("update", false, "write what the scripts answer into testdata; read the difference")

// TestScripts runs the files of testdata. A line "as NAME ROLE" changes who
// asks; "> SQL" is a request, continued by lines that begin with two blanks; the
// lines behind it up to the next empty one are its answer: for each result its
// message or its rows, for an error "! CODE line:column message".
func TestScripts(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatalf("no scripts: %v", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txt"), func(t *testing.T) { script(t, file) })
	}
}

func script(t *testing.T, file string) {
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	e := open(t)
	who := root
	lines := strings.Split(string(text), "\n")
	var out []string
	for i := 0; i < len(lines); i++ {
		line := lines[i]
		out = append(out, line)
		if name, ok := strings.CutPrefix(line, "as "); ok {
			f := strings.Fields(name)
			who = &identity.Principal{UserID: f[0], Role: f[1], Issuer: identity.Issuer}
			continue
		}
		sql, ok := strings.CutPrefix(line, "> ")
		if !ok {
			continue
		}
		at := i + 1
		for i+1 < len(lines) && strings.HasPrefix(lines[i+1], "  ") {
			i++
			out = append(out, lines[i])
			sql += "\n" + strings.TrimPrefix(lines[i], "  ")
		}
		var want []string
		for i+1 < len(lines) && lines[i+1] != "" {
			i++
			want = append(want, lines[i])
		}
		got := answer(e, who, sql)
		out = append(out, got...)
		if !*update && strings.Join(got, "\n") != strings.Join(want, "\n") {
			t.Errorf("%s:%d: %s\n got: %s\nwant: %s", file, at, sql, strings.Join(got, "\n      "), strings.Join(want, "\n      "))
		}
	}
	if *update {
		if err := os.WriteFile(file, []byte(strings.Join(out, "\n")), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

func answer(e *engine.Engine, who *identity.Principal, sql string) []string {
	results, err := e.Run(context.Background(), who, &wire.Request{SQL: sql})
	if err != nil {
		var w *wire.Error
		if !errors.As(err, &w) {
			return []string{"! " + err.Error()}
		}
		line := "! " + string(w.Code)
		if w.Line > 0 {
			line += " " + strconv.Itoa(w.Line) + ":" + strconv.Itoa(w.Column)
		}
		line += " " + w.Message
		if w.Hint != "" {
			line += " (" + w.Hint + ")"
		}
		return []string{line}
	}
	var out []string
	for _, r := range results {
		if len(r.Schema) == 0 || r.Message != "" {
			out = append(out, r.Message)
		}
		if len(r.Schema) > 0 && len(r.Rows) == 0 {
			out = append(out, "(no rows)")
		}
		for _, row := range r.Rows {
			var cells []string
			for i, v := range row {
				cells = append(cells, string(wire.AppendCell(nil, r.Schema[i].Type, v)))
			}
			out = append(out, strings.Join(cells, " | "))
		}
	}
	return out
}
