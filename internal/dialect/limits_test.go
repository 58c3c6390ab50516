package dialect_test

import (
	"strings"
	"testing"
	"time"

	"github.com/kalamdb/kalam-go/internal/dialect"
)

// TestLongTextsEndQuickly gives the parser 1 MiB of the worst texts.
func TestLongTextsEndQuickly(t *testing.T) {
	const size = 1 << 20
	fill := func(before, part, after string) string {
		return before + strings.Repeat(part, size/len(part)) + after
	}
	for _, sql := range []string{
		fill("", "(", ""),
		fill("SELECT ", "(", ""),
		fill("SELECT ", "1+", "1"),
		fill("SELECT ", "a OR ", "b"),
		fill("SELECT ", "NOT ", "a"),
		fill("SELECT ", "- ", "a"),
		fill("SELECT ", "f(", ""),
		fill("SELECT ", "CASE WHEN ", ""),
		fill("SELECT ", "CASE ", ""),
		fill("SELECT a", "::int", ""),
		fill("SELECT a", " IS NULL", ""),
		fill("SELECT a", " IN (1)", ""),
		fill("SELECT a", " IN (", ""),
		fill("SELECT a", " AT TIME ZONE b", ""),
		fill("SELECT a", " BETWEEN (", ""),
		fill("SELECT a LIKE ", "(b LIKE ", ""),
		fill("SELECT ", "EXISTS (SELECT ", ""),
		fill("SELECT 1 ", "UNION SELECT 1 ", ""),
		fill("", "(SELECT 1 UNION ", ""),
		fill("", "SELECT 1 FROM (", ""),
		fill("SELECT 1 FROM ", "(", ""),
		fill("SELECT 1 FROM ", "a JOIN ", "a"),
		fill("SELECT 1 FROM ", "a NATURAL JOIN ", "a"),
		fill("SELECT 1 FROM ", "(a JOIN ", "a"),
		fill("", "WITH a AS (", ""),
		fill("", "/*", ""),
		fill("INSERT INTO t ", "(", ""),
	} {
		start := time.Now()
		_, err := dialect.Parse(sql)
		if took := time.Since(start); took > 10*time.Second {
			t.Errorf("%.30q... took %v", sql, took)
		}
		if err == nil {
			t.Errorf("%.30q... is accepted", sql)
		}
	}
	dialect.Redact(fill("SELECT ", "(", ""))
}

func TestDepthIsBounded(t *testing.T) {
	chain := func(n int) string { return "a" + strings.Repeat(" OR a", n) }
	x, err := dialect.ParseExpr(chain(2000))
	if err != nil {
		t.Fatal(err)
	}
	if got := dialect.Print(x); got != chain(2000) {
		t.Error("the longest chain does not print back")
	}
	nodes := 0
	dialect.Walk(x, func(dialect.Node) bool { nodes++; return true })
	if nodes != 4001 {
		t.Errorf("%d nodes walked, want 4001", nodes)
	}
	for _, sql := range []string{
		chain(2001),
		// Each level alone is short enough, together they are not.
		"(" + chain(1500) + ")" + strings.Repeat(" + a", 600),
		"f((SELECT " + chain(1500) + "))" + strings.Repeat(" + a", 600),
		"CASE WHEN a IN (" + chain(1999) + ") THEN 1 END",
	} {
		if _, err := dialect.ParseExpr(sql); err == nil || !strings.Contains(err.Error(), "deeper than 2000 levels") {
			t.Errorf("%.20q... gives %v", sql, err)
		}
	}
	// Width is not depth.
	if _, err := dialect.ParseExpr("a IN (" + strings.Repeat("1 + 1, ", 100000) + ")"); err != nil {
		t.Error(err)
	}
	nested := strings.Repeat("(", 199) + "a" + strings.Repeat(")", 199)
	if _, err := dialect.ParseExpr(nested); err != nil {
		t.Error(err)
	}
	if _, err := dialect.ParseExpr("(" + nested + ")"); err == nil || !strings.Contains(err.Error(), "nests deeper than 200 levels") {
		t.Errorf("201 levels give %v", err)
	}
}
