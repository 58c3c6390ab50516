package watch_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"testing"

	"github.com/kalamdb/kalam-go/internal/engine"
	"github.com/kalamdb/kalam-go/internal/testsize"
	"github.com/kalamdb/kalam-go/internal/watch"
	"github.com/kalamdb/kalam-go/wire"
)

// filters makes random filters and select lists on the table app.f.
type filters struct {
	*rand.Rand
	params []wire.Value
}

func (g *filters) pick(list ...string) string { return list[g.IntN(len(list))] }

// param makes the value a parameter of the query.
func (g *filters) param(v wire.Value) string {
	g.params = append(g.params, v)
	return "$" + strconv.Itoa(len(g.params))
}

func (g *filters) int() string {
	if g.IntN(8) == 0 {
		return g.param(wire.IntValue(int64(g.IntN(5))))
	}
	return g.pick("i", "n", "id", "0", "1", "2", "-3", "(i + n)", "(i * 2)", "(i % 3)", "(n / i)", "abs(i)", "length(t)", "coalesce(i, 7)", "(j ->> 'n')::int", "CASE WHEN b THEN i ELSE n END")
}

func (g *filters) number() string {
	return g.pick("d", "f", "1.5", "0.1", "(d + i)", "(f * 2)", "round(d, 1)", "floor(f)", g.int())
}

func (g *filters) text() string {
	if g.IntN(8) == 0 {
		return g.param(wire.TextValue(g.pick("in", "In%", "")))
	}
	return g.pick("t", "'in'", "'In it'", "''", "lower(t)", "(t || 'x')", "substr(t, 2)", "(j ->> 'a')", "(j -> 'o' ->> 'k')", "owner", "CURRENT_USER()", "coalesce(t, owner)", "i::text", "trim(t)")
}

func (g *filters) condition(depth int) string {
	if depth > 0 && g.IntN(3) == 0 {
		a, b := g.condition(depth-1), g.condition(depth-1)
		return g.pick("("+a+" AND "+b+")", "("+a+" OR "+b+")", "NOT ("+a+")", "CASE WHEN "+a+" THEN "+b+" ELSE b END")
	}
	compare := func() string { return g.pick("=", "<>", "<", "<=", ">", ">=", "=", "=") }
	not := g.pick("", "", "NOT ")
	switch g.IntN(13) {
	case 0, 1:
		return g.int() + " " + compare() + " " + g.int()
	case 2:
		return g.number() + " " + compare() + " " + g.number()
	case 3, 4:
		return g.text() + " " + compare() + " " + g.text()
	case 5:
		return g.int() + " " + not + "IN (" + g.int() + ", " + g.int() + ", NULL)"
	case 6:
		return g.number() + " " + not + "BETWEEN " + g.number() + " AND " + g.number()
	case 7:
		return g.text() + " " + not + g.pick("LIKE", "ILIKE") + " " + g.pick("'in%'", "'_n%'", "'%'", "'I\\_%'", g.text())
	case 8:
		return g.pick("i", "t", "b", "j", "(j -> 'a')", "ts", "d") + " IS " + not + "NULL"
	case 9:
		return g.pick("b", "b IS TRUE", "b IS NOT FALSE", "owner = CURRENT_USER()", "j ? 'a'", `j @> '{"n":1}'`, "(j -> 'o') IS NOT NULL")
	case 10:
		return "ts " + compare() + " " + g.pick("timestamp '2024-02-29 12:00:00'", "ts + interval '1 day'", "date '2024-03-01'")
	case 11:
		return g.pick("i", "n", "t", "owner", "id") + " IS " + not + "DISTINCT FROM " + g.pick("NULL", "i", "t")
	}
	return "extract(year from ts) = 2024"
}

// row writes a row of random values, often NULL.
func (g *filters) row(id int) string {
	null := func(s string) string {
		if g.IntN(5) == 0 {
			return "NULL"
		}
		return s
	}
	return fmt.Sprintf("(%d, %s, %s, %s, %s, %s, %s, %s, %s, %s)", id,
		null(strconv.Itoa(g.IntN(6)-2)), null(strconv.Itoa(g.IntN(4))), null(g.pick("1.50", "0.10", "-3.00", "0.00")),
		null(g.pick("0.5", "-0.0", "0.0", "1e300", "1.5")), null(g.pick("'in'", "'In it'", "''", "'I_x'", "' in '", "'äÖ'")),
		null(g.pick("true", "false")), null(g.pick(`'{"a":"in","n":1}'`, `'{"n":2,"o":{"k":"in"}}'`, `'[1,2]'`, `'null'`, `'{"a":null}'`)),
		null(g.pick("'2024-02-29 12:00:00'", "'2024-03-01 00:00:00'", "'1969-12-31 23:59:59.5'")), null(g.pick("'alice'", "'bob'", "'in'")))
}

// tables is where a live query and a SELECT can be compared.
type tables struct {
	*engine.Engine
	live *watch.Service
}

// filterTable makes the table and some rows, and gives their changes.
func filterTable(t testing.TB, g *filters) (*tables, func(testing.TB, watch.Query) []change) {
	e, live := open(t)
	do(t, e, root, "CREATE NAMESPACE app")
	do(t, e, root, "CREATE USER TABLE app.f (id INT PRIMARY KEY, i INT, n BIGINT, d DECIMAL(10,2), f DOUBLE, t TEXT, b BOOLEAN, j JSON, ts TIMESTAMP, owner TEXT)")
	for id := range 30 {
		do(t, e, alice, "INSERT INTO app.f VALUES "+g.row(id))
	}
	return &tables{e, live}, func(t testing.TB, w watch.Query) (out []change) {
		at, err := w.Position(context.Background())
		if err != nil {
			t.Fatal(err)
		}
		log, _, err := live.Log(context.Background(), alice.UserID, w.Sources(), 0, at.Newest, 1000)
		if err != nil || len(log) != 30 {
			t.Fatalf("%d changes, %v", len(log), err)
		}
		for id, c := range log {
			events, err := w.Apply(t.Context(), c)
			if of := w.Sources()[0]; len(events) > 0 && of.Column >= 0 && c.New[of.Column] != of.Value {
				t.Errorf("a row passes that the index would not find: %v has not %v", c.New, of.Value)
			}
			out = append(out, change{id, events, err})
		}
		return out
	}
}

type change struct {
	id     int
	events []watch.Event
	err    error
}

// compareFilter draws a live query and compares what it makes of each row with
// what the engine selects.
func compareFilter(t testing.TB, e *tables, g *filters, changes func(testing.TB, watch.Query) []change) (matched int) {
	g.params = nil
	list := "id, " + g.pick("*", "t AS x", g.int()+" AS a, "+g.text()+" AS c", g.number()+" AS v", "("+g.condition(1)+") AS yes")
	if strings.HasSuffix(list, "*") {
		list = "*"
	}
	where := g.condition(3)
	sql := "SELECT " + list + " FROM app.f WHERE " + where
	w, err := e.live.Bind(context.Background(), alice, "", sql, g.params)
	want := func(id int) ([][]wire.Value, error) {
		res, err := e.Run(context.Background(), alice, &wire.Request{SQL: "SELECT " + list + " FROM app.f WHERE id = " + strconv.Itoa(id) + " AND (" + where + ")", Params: g.params})
		if err != nil {
			return nil, err
		}
		return res[0].Rows, nil
	}
	if err != nil {
		if _, plain := want(0); plain == nil {
			t.Errorf("%s %v: refused, but the engine runs it: %v", sql, g.params, err)
		}
		return 0
	}
	for _, c := range changes(t, w) {
		rows, err := want(c.id)
		if (err != nil) != (c.err != nil) {
			var a, b *wire.Error
			errors.As(err, &a)
			errors.As(c.err, &b)
			// An engine may look at the other side of an AND or OR first.
			if strings.Contains(sql, "AND") || strings.Contains(sql, "OR") || strings.Contains(sql, "CASE") || strings.Contains(sql, "IN (") {
				continue
			}
			t.Errorf("%s %v, row %d: the engine says %v, the live query %v", sql, g.params, c.id, err, c.err)
			continue
		}
		if err != nil {
			continue
		}
		if len(c.events) != len(rows) {
			t.Errorf("%s %v, row %d: the engine selects %d rows, the live query says %v", sql, g.params, c.id, len(rows), c.events)
			continue
		}
		if len(rows) == 0 {
			continue
		}
		matched++
		for k, v := range rows[0] {
			if got := c.events[0].Row[k]; got != v {
				t.Errorf("%s %v, row %d: column %d is %v in the engine and %v in the live query", sql, g.params, c.id, k+1, v, got)
			}
		}
	}
	return matched
}

// TestLiveFiltersMeanWhatTheEngineMeans compares random live queries with the
// engine, row by row. KALAM_FILTERS is how many.
func TestLiveFiltersMeanWhatTheEngineMeans(t *testing.T) {
	n := testsize.Of(t, "KALAM_FILTERS", 300)
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	g := &filters{Rand: rand.New(rand.NewPCG(seed, 0))}
	e, changes := filterTable(t, g)
	matched := 0
	for range n {
		if matched += compareFilter(t, e, g, changes); t.Failed() {
			return
		}
	}
	if matched < n {
		t.Errorf("only %d rows matched", matched)
	}
}

func FuzzLiveFilter(f *testing.F) {
	f.Add(uint64(1))
	g := &filters{Rand: rand.New(rand.NewPCG(1, 0))}
	e, changes := filterTable(f, g)
	f.Fuzz(func(t *testing.T, seed uint64) {
		compareFilter(t, e, &filters{Rand: rand.New(rand.NewPCG(seed, 1))}, changes)
	})
}

func TestLiveColumnsHaveNamesOfTheirOwn(t *testing.T) {
	e, live := open(t)
	do(t, e, root, "CREATE NAMESPACE app")
	do(t, e, root, "CREATE USER TABLE app.notes (id BIGINT PRIMARY KEY, body TEXT)")
	for _, sql := range []string{
		"SELECT body AS id FROM app.notes",
		"SELECT body, body FROM app.notes",
		"SELECT body AS _seq FROM app.notes",
	} {
		var coded *wire.Error
		if _, err := live.Bind(t.Context(), alice, "", sql, nil); !errors.As(err, &coded) || coded.Code != wire.CodeInvalidSQL {
			t.Errorf("%s: got %v", sql, err)
		}
	}
	if _, err := live.Bind(t.Context(), alice, "", "SELECT body AS text, id FROM app.notes", nil); err != nil {
		t.Error(err)
	}
}
