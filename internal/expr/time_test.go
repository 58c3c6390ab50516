package expr_test

import (
	"regexp"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/kalamdb/kalam-go/internal/expr"
	"github.com/kalamdb/kalam-go/wire"
)

// evalText evaluates an expression of parameters and gives its text.
func evalText(t *rapid.T, n expr.Node, err error) string {
	if err == nil {
		n, err = expr.Cast(n, kind(wire.Text))
	}
	if err != nil {
		t.Fatal(err)
	}
	v, err := n.Eval(&expr.Env{})
	if err != nil {
		t.Fatal(err)
	}
	return v.Text()
}

func TestTimesAreThoseOfTheGregorianCalendar(t *testing.T) {
	first := time.Date(1, 1, 1, 0, 0, 0, 0, time.UTC).UnixMicro()
	last := time.Date(9999, 12, 31, 23, 59, 59, 999999000, time.UTC).UnixMicro()
	rapid.Check(t, func(t *rapid.T) {
		us := rapid.Int64Range(first, last).Draw(t, "us")
		want := strings.TrimRight(time.UnixMicro(us).UTC().Format("2006-01-02 15:04:05.000000"), "0")
		want = strings.TrimSuffix(want, ".")
		got := evalText(t, expr.Const(wire.IntValue(us), kind(wire.Timestamp)), nil)
		if got != want {
			t.Fatalf("%d is %s, want %s", us, got, want)
		}
		v, err := expr.Coerce(wire.TextValue(got), kind(wire.Timestamp))
		if err != nil || v.Int() != us {
			t.Fatalf("%s reads back as %d, %v; want %d", got, v.Int(), err, us)
		}
	})
}

func TestLikeMatchesAsARegularExpression(t *testing.T) {
	escapes := strings.NewReplacer("%", "(?s:.*)", "_", "(?s:.)")
	rapid.Check(t, func(t *rapid.T) {
		s := rapid.StringMatching(`[abä%_]{0,8}`).Draw(t, "s")
		pattern := rapid.StringMatching(`[abä%_]{0,6}`).Draw(t, "pattern")
		want := regexp.MustCompile("^" + escapes.Replace(pattern) + "$").MatchString(s)
		ps := &expr.Params{Types: []wire.Type{kind(wire.Text), kind(wire.Text)}}
		n, err := expr.Bind(parseRapid(t, "$1 LIKE $2"), expr.BindOptions{Params: ps})
		if err != nil {
			t.Fatal(err)
		}
		v, err := n.Eval(&expr.Env{Params: []wire.Value{wire.TextValue(s), wire.TextValue(pattern)}})
		if err != nil || v.Bool() != want {
			t.Fatalf("%q LIKE %q: got %v, %v; want %v", s, pattern, v.Bool(), err, want)
		}
	})
}
