package expr_test

import (
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"zombiezen.com/go/sqlite"
	"zombiezen.com/go/sqlite/sqlitex"

	"github.com/kalamdb/kalam-go/internal/dialect"
	"github.com/kalamdb/kalam-go/internal/expr"
	target "github.com/kalamdb/kalam-go/internal/sqlgen/sqlite"
	"github.com/kalamdb/kalam-go/wire"
)

// The columns of the table that the tests evaluate on, and its one row as
// PostgreSQL writes it. Columns keep expressions from being constant.
var columns = []struct {
	name  string
	t     wire.Type
	value string // "" is NULL
}{
	{"b", kind(wire.Boolean), "true"},
	{"i2", kind(wire.SmallInt), "7"},
	{"i4", kind(wire.Int), "42"},
	{"i8", kind(wire.BigInt), "5000000000"},
	{"f4", kind(wire.Float), "1.5"},
	{"f8", kind(wire.Double), "2.25"},
	{"d", wire.Type{Kind: wire.Decimal, Precision: 10, Scale: 2}, "12.50"},
	{"t", kind(wire.Text), "Hello"},
	{"dt", kind(wire.Date), "2024-02-29"},
	{"ts", kind(wire.Timestamp), "2024-02-29 13:14:15.123456"},
	{"tz", kind(wire.DateTime), "2024-02-29 13:14:15.123456+00"},
	{"tm", kind(wire.Time), "13:14:15"},
	{"j", kind(wire.JSON), `{"a": {"b": [1, 2.50, "x", null, true]}, "s": "str"}`},
	{"u", kind(wire.UUID), "01890a5d-ac96-774b-bcce-b302099a8057"},
	{"y", kind(wire.Bytes), `\x00ff`},
	{"n", kind(wire.Int), ""},
	{"tn", kind(wire.Text), ""},
	{"dn", wire.Type{Kind: wire.Decimal, Precision: 10, Scale: 2}, ""},
}

func kind(k wire.Kind) wire.Type { return wire.Type{Kind: k} }

// names resolves the columns above.
type names struct{}

func (names) Column(name dialect.Name) (*expr.Column, error) {
	for i, c := range columns {
		if c.name == name[0].Name {
			return &expr.Column{Index: i, Name: c.name, T: c.t, SQL: "r." + c.name}, nil
		}
	}
	return nil, wire.NewError(wire.CodeColumnNotFound, "No field named ", name[0].Name)
}

// testRow is the row in Go.
func testRow(t testing.TB) []wire.Value {
	row := make([]wire.Value, len(columns))
	for i, c := range columns {
		if c.value == "" {
			continue
		}
		v, err := expr.Coerce(wire.TextValue(c.value), c.t)
		if err != nil {
			t.Fatalf("column %s: %v", c.name, err)
		}
		row[i] = v
	}
	return row
}

func testEnv(t testing.TB, params ...wire.Value) *expr.Env {
	return &expr.Env{
		Row: testRow(t), Params: params, User: "alice", Role: "user",
		Now:    time.Date(2024, 2, 29, 13, 14, 15, 123456000, time.UTC),
		NextID: func() int64 { return 7 },
	}
}

// engine is SQLite with the table and the functions.
type engine struct {
	mu    sync.Mutex
	conn  *sqlite.Conn
	calls expr.Calls
	// raised is the first error of a function in the running statement. The
	// binding loses the code of such an error, and SQLite goes on.
	raised error
}

func (e *engine) raise(err error) error {
	if e.raised == nil {
		e.raised = err
	}
	return err
}

func openEngine(t testing.TB) *engine {
	conn, err := sqlite.OpenConn(":memory:", sqlite.OpenReadWrite|sqlite.OpenCreate)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	e := &engine{conn: conn}
	for _, f := range expr.Functions(target.Target{}) {
		err := conn.CreateFunction(f.Name, &sqlite.FunctionImpl{
			NArgs: len(f.Args), Deterministic: !f.Volatile,
			Scalar: func(_ sqlite.Context, args []sqlite.Value) (sqlite.Value, error) {
				in := make([]wire.Value, len(args))
				for i, a := range args {
					in[i] = fromSQLite(a, f.Args[i])
				}
				v, err := f.Eval(&e.calls, in)
				if err != nil {
					return sqlite.Value{}, e.raise(err)
				}
				return toSQLite(v), nil
			},
		})
		if err != nil {
			t.Fatalf("register %s: %v", f.Name, err)
		}
	}
	for _, a := range expr.Aggregates(target.Target{}) {
		err := conn.CreateFunction(a.Name, &sqlite.FunctionImpl{NArgs: len(a.Args), Deterministic: true,
			MakeAggregate: func(sqlite.Context) (sqlite.AggregateFunction, error) {
				return &accumulator{e, a, a.New(&e.calls)}, nil
			}})
		if err != nil {
			t.Fatalf("register %s: %v", a.Name, err)
		}
	}
	e.create(t, "r", testRow(t))
	return e
}

// create makes a table of the test columns with the rows.
func (e *engine) create(t testing.TB, table string, rows ...[]wire.Value) {
	var defs []string
	for _, c := range columns {
		defs = append(defs, c.name+" "+storage(c.t))
	}
	if err := sqlitex.ExecuteTransient(e.conn, "CREATE TABLE "+table+" ("+strings.Join(defs, ", ")+") STRICT", nil); err != nil {
		t.Fatal(err)
	}
	for _, row := range rows {
		st, _, err := e.conn.PrepareTransient("INSERT INTO " + table + " VALUES (?" + strings.Repeat(", ?", len(row)-1) + ")")
		if err != nil {
			t.Fatal(err)
		}
		for i, v := range row {
			bindSQLite(st, i+1, v, columns[i].t)
		}
		if _, err := st.Step(); err != nil {
			t.Fatal(err)
		}
		st.Finalize()
	}
}

func storage(t wire.Type) string {
	switch t.Kind {
	case wire.Float, wire.Double:
		return "REAL"
	case wire.Decimal, wire.Bytes, wire.Embedding:
		return "BLOB"
	case wire.Text, wire.JSON, wire.UUID, wire.File:
		return "TEXT"
	}
	return "INTEGER"
}

// eval runs a bound expression in the engine.
func (e *engine) eval(n expr.Node, env *expr.Env) (wire.Value, error) {
	return e.evalFrom(n, env, "r")
}

func (e *engine) evalFrom(n expr.Node, env *expr.Env, table string) (wire.Value, error) {
	values, err := e.evalAll(n, env, table+" AS r")
	if err != nil || len(values) == 0 {
		return wire.Null, err
	}
	return values[0], nil
}

// evalAll runs a bound expression on each row of FROM.
func (e *engine) evalAll(n expr.Node, env *expr.Env, from string) ([]wire.Value, error) {
	p := expr.NewPrinter(target.Target{})
	p.Raw(from)
	if from == "many AS r" && !expr.HasAggregate(n) {
		p.Raw(" ORDER BY r.rowid")
	}
	return e.query(p, n, env)
}

// query runs SELECT n FROM what p holds, which has arguments of its own.
func (e *engine) query(from *expr.Printer, n expr.Node, env *expr.Env) ([]wire.Value, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	p := expr.NewPrinter(target.Target{})
	p.Node(n)
	sql, args := "SELECT "+p.SQL()+" FROM "+from.SQL(), p.Args()
	if len(args) == 0 {
		args = from.Args()
	}
	st, _, err := e.conn.PrepareTransient(sql)
	if err != nil {
		return nil, fmt.Errorf("prepare %s: %w", sql, err)
	}
	defer st.Finalize()
	for i, a := range args {
		bindSQLite(st, i+1, a.Resolve(env), a.Type)
	}
	e.raised = nil
	var values []wire.Value
	for {
		row, err := st.Step()
		if e.raised != nil {
			return nil, e.raised
		}
		if err != nil {
			return nil, fmt.Errorf("run %s: %w", sql, err)
		}
		if !row {
			return values, nil
		}
		values = append(values, columnValue(st, n.Type()))
	}
}

func columnValue(st *sqlite.Stmt, t wire.Type) wire.Value {
	switch st.ColumnType(0) {
	case sqlite.TypeNull:
		return wire.Null
	case sqlite.TypeInteger:
		if t.Kind == wire.Boolean {
			return wire.BoolValue(st.ColumnInt64(0) != 0)
		}
		return wire.IntValue(st.ColumnInt64(0))
	case sqlite.TypeFloat:
		return wire.FloatValue(st.ColumnFloat(0))
	case sqlite.TypeText:
		return wire.TextValue(st.ColumnText(0))
	}
	b := make([]byte, st.ColumnLen(0))
	st.ColumnBytes(0, b)
	if t.Kind == wire.Decimal {
		s, err := expr.DecodeDecimal(b, t.Scale)
		if err != nil {
			return wire.TextValue(err.Error())
		}
		return wire.TextValue(s)
	}
	return wire.BytesValue(b)
}

func bindSQLite(st *sqlite.Stmt, i int, v wire.Value, t wire.Type) {
	switch v.Tag() {
	case wire.TagNull:
		st.BindNull(i)
	case wire.TagBool:
		st.BindBool(i, v.Bool())
	case wire.TagInt:
		st.BindInt64(i, v.Int())
	case wire.TagFloat:
		st.BindFloat(i, v.Float())
	case wire.TagText:
		if t.Kind == wire.Decimal {
			st.BindBytes(i, expr.EncodeDecimal(v.Text()))
			return
		}
		st.BindText(i, v.Text())
	case wire.TagBytes:
		st.BindBytes(i, v.Bytes())
	}
}

func fromSQLite(a sqlite.Value, t wire.Type) wire.Value {
	switch a.Type() {
	case sqlite.TypeInteger:
		if t.Kind == wire.Boolean {
			return wire.BoolValue(a.Int64() != 0)
		}
		return wire.IntValue(a.Int64())
	case sqlite.TypeFloat:
		return wire.FloatValue(a.Float())
	case sqlite.TypeText:
		return wire.TextValue(a.Text())
	case sqlite.TypeBlob:
		return wire.BytesValue(a.Blob())
	}
	return wire.Null
}

func toSQLite(v wire.Value) sqlite.Value {
	switch v.Tag() {
	case wire.TagBool:
		if v.Bool() {
			return sqlite.IntegerValue(1)
		}
		return sqlite.IntegerValue(0)
	case wire.TagInt:
		return sqlite.IntegerValue(v.Int())
	case wire.TagFloat:
		return sqlite.FloatValue(v.Float())
	case wire.TagText:
		return sqlite.TextValue(v.Text())
	case wire.TagBytes:
		return sqlite.BlobValue(v.Bytes())
	}
	return sqlite.Value{}
}

type accumulator struct {
	e   *engine
	a   expr.Aggregate
	acc expr.Accumulator
}

func (s *accumulator) Step(_ sqlite.Context, args []sqlite.Value) error {
	if err := s.acc.Step(s.values(args)); err != nil {
		return s.e.raise(err)
	}
	return nil
}

func (s *accumulator) values(args []sqlite.Value) []wire.Value {
	in := make([]wire.Value, len(args))
	for i, a := range args {
		in[i] = fromSQLite(a, s.a.Args[i])
	}
	return in
}

func (s *accumulator) WindowInverse(_ sqlite.Context, args []sqlite.Value) error {
	if err := s.acc.Inverse(s.values(args)); err != nil {
		return s.e.raise(err)
	}
	return nil
}

func (s *accumulator) WindowValue(sqlite.Context) (sqlite.Value, error) {
	v, err := s.acc.Final()
	if err != nil {
		return sqlite.Value{}, s.e.raise(err)
	}
	return toSQLite(v), nil
}

func (s *accumulator) Finalize(sqlite.Context) {}
