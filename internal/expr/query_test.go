package expr_test

import (
	"errors"
	"os"
	"strings"
	"testing"

	"github.com/kalamdb/kalam-go/internal/dialect"
	"github.com/kalamdb/kalam-go/internal/expr"
	target "github.com/kalamdb/kalam-go/internal/sqlgen/sqlite"
	"github.com/kalamdb/kalam-go/wire"
)

// setRows are six rows for what takes more than one: the values of the columns
// set, by name.
var setRows = []map[string]string{
	{"i2": "1", "i4": "1", "i8": "10", "d": "0.10", "f8": "0.5", "t": "b", "b": "true"},
	{"i2": "2", "i4": "2", "i8": "20", "d": "0.20", "f8": "1.5", "t": "a", "b": "false"},
	{"i2": "3"},
	{"i2": "4", "i4": "2", "i8": "1", "d": "10.00", "t": "b", "b": "true"},
	{"i2": "5", "i4": "3", "i8": "5", "d": "5.00", "f8": "1e300", "t": "a", "b": "true"},
	{"i2": "6", "i4": "3", "i8": "7", "d": "7.50", "f8": "1.0", "b": "false"},
}

func createSet(t testing.TB, e *engine) {
	var rows [][]wire.Value
	for _, set := range setRows {
		row := make([]wire.Value, len(columns))
		for i, c := range columns {
			if s := set[c.name]; s != "" {
				v, err := expr.Coerce(wire.TextValue(s), c.t)
				if err != nil {
					t.Fatal(err)
				}
				row[i] = v
			}
		}
		rows = append(rows, row)
	}
	e.create(t, "many", rows...)
}

// aliased resolves the test columns in a table of that alias, then around it.
// The column i2 is called id, too.
type aliased struct {
	as    string
	outer expr.Names
}

func (a aliased) Column(name dialect.Name) (*expr.Column, error) {
	last := name[len(name)-1].Name
	if len(name) == 2 && name[0].Name != a.as {
		return a.outer.Column(name)
	}
	if last == "id" {
		last = "i2"
	}
	c, err := names{}.Column(dialect.Name{{Name: last}})
	if err != nil {
		return nil, err
	}
	c.SQL = a.as + "." + last
	return c, nil
}

// selected is a query of the form SELECT items FROM table alias [WHERE c].
type selected struct {
	items []expr.Node
	from  string
	where expr.Node
}

func (s *selected) Types() []wire.Type {
	var out []wire.Type
	for _, n := range s.items {
		out = append(out, n.Type())
	}
	return out
}

func (s *selected) Print(p *expr.Printer) {
	for i, n := range s.items {
		p.Raw([]string{"SELECT ", ", "}[min(i, 1)])
		p.Node(n)
	}
	if s.from != "" {
		p.Raw(" FROM " + s.from)
	}
	if s.where != nil {
		p.Raw(" WHERE ")
		p.Node(s.where)
	}
}

func setOptions(n expr.Names) expr.BindOptions {
	o := expr.BindOptions{Names: n, Params: &expr.Params{}, Windows: true, Aggregates: true}
	o.Query = func(q *dialect.Query) (expr.Query, error) {
		body := q.Body.(*dialect.Select)
		s := &selected{}
		inner := aliased{outer: n}
		if len(body.From) > 0 {
			ref := body.From[0].(*dialect.TableRef)
			inner.as = ref.As.Name
			s.from = ref.Name[0].Name + " AS " + ref.As.Name
		}
		for _, item := range body.Items {
			x, err := expr.Bind(item.X, setOptions(inner))
			if err != nil {
				return nil, err
			}
			s.items = append(s.items, x)
		}
		if body.Where != nil {
			x, err := expr.Bind(body.Where, setOptions(inner))
			if err != nil {
				return nil, err
			}
			s.where = x
		}
		return s, nil
	}
	return o
}

func readSet(t *testing.T, file string, check func(where, sql, want string)) {
	b, err := os.ReadFile("testdata/sets/" + file)
	if err != nil {
		t.Fatal(err)
	}
	for _, line := range strings.Split(string(b), "\n") {
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		sql, want, _ := strings.Cut(line, "  =>  ")
		check(file, sql, want)
	}
}

// all shows an expression on every row of a table, as the files do.
func (e *engine) all(t testing.TB, sql, from string) string {
	n, err := expr.Bind(parse(t, sql), setOptions(aliased{as: "r"}))
	var w *wire.Error
	if errors.As(err, &w) {
		return "! " + string(w.Code)
	}
	values, err := e.evalAll(n, testEnv(t), from)
	if errors.As(err, &w) {
		return "! " + string(w.Code)
	}
	if err != nil {
		return "! " + err.Error()
	}
	base, _, _ := strings.Cut(expr.TypeName(n.Type()), "(")
	var shown []string
	for _, v := range values {
		_, text, _ := strings.Cut(show(n, v, nil), " ")
		if k := n.Type().Kind; (k == wire.Text || k == wire.JSON) && !v.IsNull() {
			text = v.Text()
		}
		shown = append(shown, text)
	}
	return base + " " + strings.Join(shown, " | ")
}

func TestWindowsMeanWhatPostgreSQLMeans(t *testing.T) {
	e := openEngine(t)
	createSet(t, e)
	readSet(t, "windows.txt", func(where, sql, want string) {
		if got := e.all(t, sql, "many AS r"); got != want {
			t.Errorf("%s: %s\n got %s\nwant %s", where, sql, got, want)
		}
	})
}

func TestAggregatesMeanWhatPostgreSQLMeans(t *testing.T) {
	e := openEngine(t)
	createSet(t, e)
	readSet(t, "aggregates.txt", func(where, sql, want string) {
		if got := e.all(t, sql, "many AS r"); got != want {
			t.Errorf("%s: %s\n got %s\nwant %s", where, sql, got, want)
		}
	})
}

func TestQueriesMeanWhatPostgreSQLMeans(t *testing.T) {
	e := openEngine(t)
	createSet(t, e)
	for _, file := range []string{"queries.txt", "ours.txt"} {
		readSet(t, file, func(where, sql, want string) {
			if got := e.all(t, sql, "many AS r"); got != want {
				t.Errorf("%s: %s\n got %s\nwant %s", where, sql, got, want)
			}
		})
	}
}

func TestQueriesNeedTheEngine(t *testing.T) {
	for _, sql := range []string{"(select 1)", "i4 in (select 1)", "1 + (select i4) > 2", "exists (select 1)"} {
		n, err := expr.Bind(parse(t, sql), setOptions(names{}))
		if err != nil {
			t.Fatal(err)
		}
		if !expr.HasQuery(n) || expr.IsConst(n) {
			t.Errorf("%s: not seen as a query", sql)
		}
		if _, err := n.Eval(testEnv(t)); !errors.Is(err, &wire.Error{Code: wire.CodeUnsupported}) {
			t.Errorf("%s: evaluates to %v", sql, err)
		}
	}
}

func TestColumnsOutsideTheGroup(t *testing.T) {
	for _, c := range []struct{ sql, keys, want string }{
		{"i4", "", "i4"},
		{"i4 + count(i8)", "i4", ""},
		{"lower(t) || 'x'", "lower(t)", ""},
		{"lower(t) || 'x'", "t", ""},
		{"upper(t)", "lower(t)", "t"},
		{"i4 + 1", "i4 + 1", ""},
		{"i4 + 2", "i4 + 1", "i4"},
		{"sum(d) over (order by i4)", "", "d"},
		{"sum(sum(d)) over (order by i4)", "i4", ""},
		{"sum(count(*)) over (partition by i4, t)", "i4", "t"},
		{"case when i4 = 1 then t end", "i4; t", ""},
		{"current_user || 'a' || count(*)::text", "", ""},
		{"i8 in (select 1)", "i4", "i8"},
		{"d * 2", "d * 2.0", "d"},
	} {
		o := setOptions(aliased{as: "r"})
		n, err := expr.Bind(parse(t, c.sql), o)
		if err != nil {
			t.Fatal(err)
		}
		var keys []expr.Node
		for _, k := range strings.Split(c.keys, "; ") {
			if k == "" {
				continue
			}
			key, err := expr.Bind(parse(t, k), o)
			if err != nil {
				t.Fatal(err)
			}
			keys = append(keys, key)
		}
		got := ""
		if col := expr.Ungrouped(n, keys, func(*expr.Column) bool { return true }); col != nil {
			got = col.Name
		}
		if got != c.want {
			t.Errorf("%s grouped by %s: %q, want %q", c.sql, c.keys, got, c.want)
		}
		if again, _ := expr.Bind(parse(t, c.sql), o); !expr.Equal(n, again) {
			t.Errorf("%s does not equal itself", c.sql)
		}
	}
}

// Equal numbers of different scales are one group, one key and one row of a
// set, and keep their scale where all have the same.
func TestDecimalsGroupByValue(t *testing.T) {
	e := openEngine(t)
	createSet(t, e)
	o := setOptions(aliased{as: "r"})
	for sql, want := range map[string]string{
		"case when id < 3 then 0.5 else 0.50 end": "0.5",
		"case when id < 3 then 2 else 2.00 end":   "2",
		"(d - d + 1) * 1.0":                       "1.000 NULL",
		"round(d / d, 2)":                         "1.00 NULL",
		"d - d":                                   "0.00 NULL",
		"case when id < 3 then interval '30 days' else interval '1 month' end": "30 days",
	} {
		n, err := expr.Bind(parse(t, sql), o)
		if err != nil {
			t.Fatal(err)
		}
		p := expr.NewPrinter(target.Target{})
		p.Raw("(SELECT DISTINCT ")
		p.Node(expr.Keyed(n)[0])
		p.Raw(" AS c FROM many AS r) AS r")
		whole := expr.Ref(&expr.Column{T: expr.Keyed(n)[0].Type(), SQL: "r.c"})
		values, err := e.query(p, whole, testEnv(t))
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, v := range values {
			_, text, _ := strings.Cut(show(whole, v, nil), " ")
			got = append(got, text)
		}
		if strings.Join(got, " ") != want {
			t.Errorf("DISTINCT %s: %v, want %s", sql, got, want)
		}
	}
	a, err := expr.Bind(parse(t, "d * 1.0"), o)
	if err != nil {
		t.Fatal(err)
	}
	b, err := expr.Bind(parse(t, "d * 1.00"), o)
	if err != nil {
		t.Fatal(err)
	}
	if one := expr.Keyed(a); one[0] != a {
		t.Error("one scale is changed")
	}
	if two := expr.Keyed(a, b); two[0] == a || two[1] == b {
		t.Error("two scales are left as they are")
	}
}
