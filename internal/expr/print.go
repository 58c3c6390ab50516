package expr

import (
	"slices"
	"strconv"
	"strings"

	"github.com/kalamdb/kalam-go/wire"
)

// ArgKind says where the value of an argument comes from when the statement
// runs.
type ArgKind uint8

// The sources of arguments.
const (
	ArgConst   ArgKind = iota // Value
	ArgParam                  // parameter N
	ArgUser                   // the user that the statement runs as
	ArgRole                   // the user's role
	ArgNow                    // the start of the statement
	ArgNextID                 // a new id, one for the whole statement
	ArgRows                   // Rows, as they are when the statement starts
	ArgCell                   // cell N of Env.Row
	ArgFile                   // the uploaded file that Value names
	ArgStage                  // the rows of Stage
	ArgMembers                // set N of Env.Members
)

// RowSource is a table whose rows are in memory. Its values are pointers.
type RowSource interface {
	// RowsJSON gives the rows as a JSON array of arrays.
	RowsJSON() string
}

// Stage is a query that runs once, before the statement that reads its rows.
type Stage struct {
	SQL  string // its only result is a JSON array
	Args []Arg
}

// Arg is an argument of a printed statement. Type is the form in which the
// value that Resolve gives is bound.
type Arg struct {
	Kind  ArgKind
	N     int
	Value wire.Value
	Rows  RowSource
	Stage *Stage
	Type  wire.Type

	form decimalForm
}

// decimalForm says how a DECIMAL goes into the engine; see decimal_codec.go.
type decimalForm uint8

const (
	asIs decimalForm = iota
	asKey
	asOwn
)

// Resolve gives the value to bind.
func (a Arg) Resolve(env *Env) wire.Value {
	v := a.Value
	switch a.Kind {
	case ArgParam:
		v = env.Params[a.N-1]
	case ArgCell:
		v = env.Row[a.N]
	case ArgUser:
		return wire.TextValue(env.User)
	case ArgRole:
		return wire.TextValue(env.Role)
	case ArgNow:
		return wire.IntValue(env.Now.UnixMicro())
	case ArgNextID:
		return wire.IntValue(env.NextID())
	case ArgRows:
		return wire.TextValue(a.Rows.RowsJSON())
	case ArgFile:
		return env.Files[a.Value.Text()]
	case ArgStage:
		return env.Staged[a.Stage]
	case ArgMembers:
		return wire.TextValue(env.Members[a.N].json)
	}
	if v.IsNull() {
		return v
	}
	switch a.form {
	case asKey:
		return wire.BytesValue(EncodeDecimal(v.Text()))
	case asOwn:
		return wire.BytesValue(encodeOwn(v.Text()))
	}
	return v
}

// Printer writes SQL for an engine. Expressions print without text constants
// or what differs from run to run: these become arguments.
type Printer struct {
	target Target

	b     strings.Builder
	args  []Arg
	lets  map[*let]int // around the place that is printed, with the number of their first value
	slots int          // how many values these have
	names []func(Node) string
}

// NewPrinter makes an empty Printer for an engine.
func NewPrinter(t Target) *Printer { return &Printer{target: t} }

// Target returns the engine that p prints for.
func (p *Printer) Target() Target { return p.target }

// Another returns an empty Printer for the same engine.
func (p *Printer) Another() *Printer { return NewPrinter(p.target) }

// Raw appends SQL as it is.
func (p *Printer) Raw(sql string) { p.b.WriteString(sql) }

// Renamed runs fn, in which columns and aggregates print as the names that name
// returns for them; "" is none.
func (p *Printer) Renamed(name func(Node) string, fn func()) {
	p.names = append(p.names, name)
	fn()
	p.names = p.names[:len(p.names)-1]
}

// Inside runs fn without the names of the innermost Renamed.
func (p *Printer) Inside(fn func()) {
	before := p.names
	p.names = p.names[: len(p.names)-1 : len(p.names)-1]
	fn()
	p.names = before
}

// renamed appends the name that n has here, if it has one.
func (p *Printer) renamed(n Node) bool {
	for i := len(p.names) - 1; i >= 0; i-- {
		if s := p.names[i](n); s != "" {
			p.Raw(s)
			return true
		}
	}
	return false
}

// Node appends an expression.
func (p *Printer) Node(n Node) { n.print(p) }

// Arg appends a placeholder. The same run-time argument has one number.
func (p *Printer) Arg(a Arg) { p.Raw(p.Placeholder(a)) }

// Placeholder makes room for an argument and returns what stands for it.
func (p *Printer) Placeholder(a Arg) string {
	i := -1
	if a.Kind != ArgConst && a.Kind != ArgNextID {
		i = slices.Index(p.args, a)
	}
	if i < 0 {
		i = len(p.args)
		p.args = append(p.args, a)
	}
	return p.target.Placeholder(i+1, a.Type)
}

// SQL is the text so far.
func (p *Printer) SQL() string { return p.b.String() }

// Args are the arguments that the text asks for, in the order of their numbers.
func (p *Printer) Args() []Arg { return p.args }

// Cell appends a placeholder for cell n of the row at hand, which has the type
// of a column and its stored form.
func (p *Printer) Cell(n int, t wire.Type) { p.arg(Arg{Kind: ArgCell, N: n, Type: t}, asKey) }

// Value appends a constant.
func (p *Printer) Value(v wire.Value, t wire.Type) { p.value(v, t, formOf(t)) }

func (p *Printer) value(v wire.Value, t wire.Type, form decimalForm) {
	if sql, ok := p.target.Literal(v, t); ok {
		p.Raw(sql)
		return
	}
	p.arg(Arg{Kind: ArgConst, Value: v, Type: t}, form)
}

// arg gives a DECIMAL its form in the engine, which is bytes.
func (p *Printer) arg(a Arg, form decimalForm) {
	if !p.target.Registers() {
		p.Arg(a)
		return
	}
	if a.Type.Kind == wire.Decimal {
		a.Type, a.form = typeOf(wire.Bytes), form
	}
	if a.Type.Kind == Interval {
		a.Type = typeOf(wire.Bytes)
	}
	p.Arg(a)
}

// formOf is the form in which nodes of the type print.
func formOf(t wire.Type) decimalForm {
	if t == ownDecimal {
		return asOwn
	}
	return asKey
}

// Key appends an expression in the form that compares, sorts and groups by
// value: a computed DECIMAL without its scale, so that 0.5 and 0.50 are one. It
// is what ORDER BY, GROUP BY and PARTITION BY take.
func (p *Printer) Key(n Node) {
	if n.Type().Kind == Interval {
		p.form(p.target.Length(), func(int) { p.Node(n) })
		return
	}
	if n.Type() != ownDecimal || !p.target.Registers() {
		p.Node(n)
		return
	}
	switch x := n.(type) {
	case *constant:
		p.value(x.v, x.t, asKey)
	case *param:
		p.arg(Arg{Kind: ArgParam, N: x.n, Type: x.Type()}, asKey)
	case *own:
		p.Node(x.x)
	default:
		p.Raw(keyFunction + "(")
		p.Node(n)
		p.Raw(")")
	}
}

func (p *Printer) list(nodes []Node, separator string) {
	for i, n := range nodes {
		if i > 0 {
			p.Raw(separator)
		}
		p.Node(n)
	}
}

func (c *constant) print(p *Printer) { p.value(c.v, c.t, formOf(c.t)) }

func (u *untyped) print(p *Printer) {
	p.Arg(Arg{Kind: ArgConst, Value: wire.TextValue(u.text), Type: typeOf(wire.Text)})
}

func (n *param) print(p *Printer) {
	t := n.Type()
	p.arg(Arg{Kind: ArgParam, N: n.n, Type: t}, formOf(t))
}

func (u *upload) print(p *Printer) {
	p.Arg(Arg{Kind: ArgFile, Value: wire.TextValue(u.name), Type: u.Type()})
}

func (c *column) print(p *Printer) {
	if !p.renamed(c) {
		p.Raw(c.c.SQL)
	}
}

func (c *call) printCall(p *Printer) {
	callee := c.f.callee()
	s := p.target.Native(callee)
	if s == "" {
		p.Raw(callee.Registered() + "(")
		p.list(c.args, ", ")
		p.Raw(")")
		return
	}
	p.form(s, func(i int) { p.Node(c.args[i]) })
}

// form appends SQL with arguments in the places of $1 to $9.
func (p *Printer) form(s string, arg func(i int)) {
	for {
		before, after, ok := strings.Cut(s, "$")
		p.Raw(before)
		if !ok {
			return
		}
		arg(int(after[0] - '1'))
		s = after[1:]
	}
}

func (c *call) print(p *Printer) {
	if !c.printRange(p) {
		c.printCall(p)
	}
}

func (o *own) print(p *Printer) {
	if !p.target.Registers() {
		p.Node(o.x)
		return
	}
	p.Raw(ownFunction + "(")
	p.Node(o.x)
	p.Raw(", " + strconv.Itoa(int(o.x.Type().Scale)) + ")")
}

func (f *fit) print(p *Printer) {
	if f.t.Kind == wire.Embedding {
		p.Raw(dimFunction + "(")
		p.Node(f.x)
		p.Raw(", " + strconv.Itoa(int(f.t.Dim)) + ")")
		return
	}
	if !p.target.Registers() {
		p.Raw("CAST(")
		p.Node(f.x)
		p.Raw(" AS " + p.target.Type(f.t) + ")")
		return
	}
	p.Raw(fitFunction + "(")
	p.Node(f.x)
	p.Raw(", " + strconv.Itoa(int(f.t.Precision)) + ", " + strconv.Itoa(int(f.t.Scale)) + ")")
}

func (c *comparison) print(p *Printer) {
	p.Raw("(")
	p.Key(c.l)
	op := c.op
	if op == "IS" || op == "IS NOT" {
		op = p.target.Distinct(op == "IS")
	}
	p.Raw(" " + op + " ")
	p.Key(c.r)
	p.Raw(")")
}

func (j *junction) print(p *Printer) { p.junction(j.op, j.args) }

// junction prints a balanced tree, since the engine bounds the depth.
func (p *Printer) junction(op string, args []Node) {
	if len(args) == 1 {
		p.Node(args[0])
		return
	}
	p.Raw("(")
	if len(args) <= 8 {
		p.list(args, " "+op+" ")
	} else {
		half := len(args) / 2
		p.junction(op, args[:half])
		p.Raw(" " + op + " ")
		p.junction(op, args[half:])
	}
	p.Raw(")")
}

func (n *not) print(p *Printer) {
	p.Raw("(NOT ")
	p.Node(n.x)
	p.Raw(")")
}

func (n *is) print(p *Printer) {
	p.Raw("(")
	p.Node(n.x)
	p.Raw(" IS ")
	if n.not {
		p.Raw("NOT ")
	}
	p.Raw(n.what + ")")
}

func (n *in) print(p *Printer) {
	p.Raw("(")
	p.Key(n.x)
	p.Raw(" IN (")
	for i, t := range n.tests {
		if i > 0 {
			p.Raw(", ")
		}
		p.Key(t.r)
	}
	p.Raw("))")
}

func (c *choice) print(p *Printer) {
	p.Raw("CASE")
	c.printWhens(p, p.Node)
}

// printWhens writes what stands behind CASE, the conditions by print.
func (c *choice) printWhens(p *Printer, print func(cond Node)) {
	for i := range c.conds {
		p.Raw(" WHEN ")
		print(c.conds[i])
		p.Raw(" THEN ")
		p.Node(c.thens[i])
	}
	if c.other != nil {
		p.Raw(" ELSE ")
		p.Node(c.other)
	}
	p.Raw(" END")
}

func (c *coalesce) print(p *Printer) {
	p.Raw("coalesce(")
	p.list(c.args, ", ")
	p.Raw(")")
}
