package dialect_test

import (
	"errors"
	"testing"
	"unicode/utf8"

	"github.com/kalamdb/kalam-go/internal/dialect"
)

// FuzzParse checks that no text makes the parser, the walker or the printer
// panic, that errors have a place, and that what prints parses to the same
// tree.
func FuzzParse(f *testing.F) {
	for _, sql := range caseTexts(f) {
		f.Add(sql)
	}
	f.Fuzz(func(t *testing.T, sql string) {
		redacted := dialect.Redact(sql)
		if dialect.Redact(redacted) != redacted && utf8.ValidString(sql) {
			t.Fatalf("%q is redacted to %q and then to %q", sql, redacted, dialect.Redact(redacted))
		}
		src, err := dialect.Parse(sql)
		if err != nil {
			var e *dialect.Error
			if !errors.As(err, &e) || e.Line < 1 || e.Column < 1 || e.Message == "" || int(e.Pos) > len(sql) {
				t.Fatalf("%q: error without a place: %#v", sql, err)
			}
			if !utf8.ValidString(e.Message) {
				t.Fatalf("%q: the message is not valid UTF-8: %q", sql, e.Message)
			}
			return
		}
		for i, s := range src.Statements {
			dialect.Walk(s, func(n dialect.Node) bool { return int(n.Pos()) < len(sql) })
			if src.Texts[i] == "" {
				t.Fatalf("%q: a statement without text", sql)
			}
		}
		roundTrip(t, sql)
	})
}
