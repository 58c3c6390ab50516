//go:build postgres

package engine_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"github.com/kalamdb/kalam-go/internal/engine"
	"github.com/kalamdb/kalam-go/internal/testsize"
	"github.com/kalamdb/kalam-go/wire"
)

// TestRandomStatementsAnswerAsPostgreSQLDoes runs random statements here and in
// a server that psql finds, and compares rows, counts and the kinds of errors.
// KALAM_COMPARE_STATEMENTS says how many; a failure names its seed.
func TestRandomStatementsAnswerAsPostgreSQLDoes(t *testing.T) {
	const each = 100
	for seed := range (testsize.Of(t, "KALAM_COMPARE_STATEMENTS", 400) + each - 1) / each {
		kind := []string{"SHARED", "USER"}[seed%2]
		g := &generator{Rand: rand.New(rand.NewPCG(uint64(seed), 14)), schema: fmt.Sprintf("r%d", seed), loose: map[string]bool{}}
		list := g.statements(each)
		want := inPostgreSQL(t, g.schema, list)
		e := open(t)
		for i, sql := range list {
			got := answerOf(t, e, strings.Replace(sql, "CREATE TABLE", "CREATE "+kind+" TABLE", 1))
			if got != want[i] && !(g.loose[sql] && sorted(got) == sorted(want[i])) {
				t.Fatalf("seed %d, %s: %s\ngot:\n%s\nPostgreSQL:\n%s", seed, kind, sql, got, want[i])
			}
		}
	}
}

func sorted(rows string) string {
	list := strings.Split(rows, "\n")
	slices.Sort(list)
	return strings.Join(list, "\n")
}

// errorKinds are PostgreSQL's codes for what ours stand for; all others are "!".
var errorKinds = map[string]string{
	"23505": "UNIQUE_VIOLATION", "23502": "NOT_NULL_VIOLATION", "23514": "CHECK_VIOLATION",
	"22003": "NUMERIC_OUT_OF_RANGE", "22012": "DIVISION_BY_ZERO",
	"42501": "POLICY_VIOLATION",
	"21000": "UNIQUE_VIOLATION", // two rows of one INSERT with ON CONFLICT DO UPDATE
}

func answerOf(t *testing.T, e *engine.Engine, sql string) string {
	results, err := e.Run(context.Background(), root, &wire.Request{SQL: sql})
	if err == nil {
		return strings.Join(psqlRows(t, results[0]), "\n")
	}
	var coded *wire.Error
	if errors.As(err, &coded) {
		for _, kind := range errorKinds {
			if string(coded.Code) == kind {
				return "! " + kind
			}
		}
		if coded.Code != wire.CodeInternal && coded.Code != wire.CodeUnsupported {
			return "!"
		}
	}
	return "! " + err.Error()
}

// inPostgreSQL returns PostgreSQL's answers.
func inPostgreSQL(t *testing.T, schema string, list []string) []string {
	const mark = "-- end of statement "
	script := "SET TimeZone = 'UTC'; SET client_min_messages = error;\n\\pset null NULL\nDROP SCHEMA IF EXISTS " + schema + " CASCADE;\n"
	for _, sql := range list {
		script += sql + ";\n\\echo '" + mark + "' :SQLSTATE\n"
	}
	cmd := exec.Command("psql", "-X", "-A", "-t", "-q", "-F", " | ")
	cmd.Stdin = strings.NewReader(script)
	text, err := cmd.Output()
	if err != nil {
		t.Fatalf("psql: %v", err)
	}
	var out, rows []string
	for _, line := range strings.Split(string(text), "\n") {
		state, ok := strings.CutPrefix(line, mark)
		switch kind, known := errorKinds[strings.TrimSpace(state)]; {
		case !ok:
			rows = append(rows, line)
			continue
		case strings.TrimSpace(state) == "00000":
			out = append(out, strings.Join(rows, "\n"))
		case known:
			out = append(out, "! "+kind)
		default:
			out = append(out, "!")
		}
		rows = nil
	}
	if len(out) != len(list) {
		t.Fatalf("psql answered %d of %d statements", len(out), len(list))
	}
	return out
}
