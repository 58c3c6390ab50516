package expr

import (
	"slices"
	"strings"

	"github.com/kalamdb/kalam-go/internal/budget"
	"github.com/kalamdb/kalam-go/wire"
)

// function is one overload of an operator, a cast or a function: an entry of
// the table that evaluation and every engine share.
type function struct {
	name   string      // in SQL: "+", "lower"
	args   []wire.Kind // what it takes
	result wire.Kind
	// eval gets no NULL unless nulls is set: a NULL argument gives NULL.
	eval     func(a []wire.Value) (wire.Value, error)
	nulls    bool
	volatile bool // another result at each call
	// long replaces eval where one call may take much longer than its arguments
	// are long. It spends steps.
	long func(b *budget.Budget, a []wire.Value) (wire.Value, error)
	// size is how many bytes the result has at most where it may be much longer
	// than the arguments, held how many times the length of the arguments a call
	// holds until it returns; 0 for little.
	size func(a []wire.Value) int
	held int
}

var kindCodes = [...]string{
	wire.Unknown: "x", wire.Boolean: "bool", wire.SmallInt: "i2", wire.Int: "i4", wire.BigInt: "i8",
	wire.Float: "f4", wire.Double: "f8", wire.Decimal: "dec", wire.Text: "text", wire.Bytes: "bytes",
	wire.JSON: "json", wire.UUID: "uuid", wire.Date: "date", wire.Time: "time", wire.Timestamp: "ts",
	wire.DateTime: "tz", wire.Embedding: "vec", wire.File: "file",
	Interval: "iv",
}

var operatorWords = strings.NewReplacer("->>", "gettext", "#>>", "pathtext", "#>", "path", "!~*", "nmatchi", "!~", "nmatch", "~*", "matchi",
	"?|", "hasany", "?&", "hasall", "@>", "contains", "<@", "within", "->", "get", "+", "add", "-", "sub", "*", "mul",
	"/", "quo", "%", "rem", "^", "raise", "?", "has", " ", "_", "||", "cat", "#", "xor", "&", "and", "|", "or",
	"<<", "shl", ">>", "shr", "~", "not")

// table finds the overloads of a name.
type table map[string][]*function

func makeTable(lists ...[]*function) table {
	t := table{}
	for _, list := range lists {
		for _, f := range list {
			t[f.name] = append(t[f.name], f)
		}
	}
	return t
}

var (
	operators = makeTable(arithmetic, bitOperators, intervalOperators, regexOperators, jsonOperators, documentOperators)
	functions = makeTable(textFunctions, stringFunctions, regexFunctions, numberFunctions, vectorFunctions, mathFunctions, idFunctions, timeFunctions, formatFunctions, intervalFunctions, jsonFunctions, documentFunctions)
)

// choose picks the overload for the kinds of the arguments, in PostgreSQL's
// order of preference; Unknown stands for an open argument. many tells an
// ambiguity from no match.
func choose(candidates []*function, kinds []wire.Kind) (f *function, many bool) {
	var fit []*function
	for _, c := range candidates {
		if len(c.args) == len(kinds) && accepts(c, kinds) {
			fit = append(fit, c)
		}
	}
	fit = best(fit, func(c *function) int { return score(c, kinds, false) })
	if len(fit) > 1 {
		fit = best(fit, func(c *function) int { return score(c, kinds, true) })
	}
	if len(fit) > 1 {
		fit = chooseForOpen(fit, kinds)
	}
	if len(fit) == 1 {
		return fit[0], false
	}
	return nil, len(fit) > 1
}

func accepts(c *function, kinds []wire.Kind) bool {
	for i, k := range kinds {
		if k != wire.Unknown && k != c.args[i] && !castable(k, c.args[i], implicit) {
			return false
		}
	}
	return true
}

// score counts the arguments that need no conversion, with prefer also those
// that convert to a preferred kind.
func score(c *function, kinds []wire.Kind, prefer bool) int {
	n := 0
	for i, k := range kinds {
		if k == c.args[i] || prefer && k != wire.Unknown && preferred(c.args[i]) {
			n++
		}
	}
	return n
}

func best(list []*function, score func(*function) int) []*function {
	top := -1
	var out []*function
	for _, f := range list {
		switch n := score(f); {
		case n > top:
			top, out = n, append(out[:0:0], f)
		case n == top:
			out = append(out, f)
		}
	}
	return out
}

// chooseForOpen decides by what the open arguments could be: like the known
// ones if these agree, else text if a candidate takes text there.
func chooseForOpen(fit []*function, kinds []wire.Kind) []*function {
	if !slices.Contains(kinds, wire.Unknown) {
		return fit
	}
	var known wire.Kind
	same := true
	for _, k := range kinds {
		if k != wire.Unknown {
			same = same && (known == wire.Unknown || known == k)
			known = k
		}
	}
	if known != wire.Unknown && same {
		for _, f := range fit {
			if !slices.ContainsFunc(f.args, func(k wire.Kind) bool { return k != known }) {
				return []*function{f}
			}
		}
	}
	for i, k := range kinds {
		if k != wire.Unknown {
			continue
		}
		fit = best(fit, func(f *function) int { return boolInt(categoryOf(f.args[i]) == catString) })
		category := categoryOf(fit[0].args[i])
		for _, f := range fit {
			if categoryOf(f.args[i]) != category {
				return fit
			}
		}
		fit = best(fit, func(f *function) int { return boolInt(preferred(f.args[i])) })
	}
	return fit
}

// call is the use of a function with arguments of exactly its kinds.
type call struct {
	f    *function
	args []Node
	t    wire.Type
}

// newCall converts the arguments and evaluates what is constant.
func newCall(f *function, args []Node) (Node, error) {
	c := &call{f: f, args: make([]Node, len(args)), t: typeOf(f.result)}
	known := !f.volatile && f.long == nil
	for i, a := range args {
		n, err := convert(a, typeOf(f.args[i]), implicit)
		if err != nil {
			return nil, err
		}
		c.args[i] = n
		if _, ok := n.(*constant); !ok {
			known = false
		}
	}
	if known {
		if v, ok := c.fold(); ok {
			return &constant{v, c.t}, nil
		}
	}
	return c, nil
}

// maxFolded is how many bytes the arguments and the result of a call have that
// is evaluated when it is bound: more would make a plan larger than its text.
const maxFolded = 1024

// fold evaluates a call whose arguments are constants.
func (c *call) fold() (wire.Value, bool) {
	args := make([]wire.Value, len(c.args))
	n := 0
	for i, a := range c.args {
		args[i] = a.(*constant).v
		n += len(args[i].Raw())
		if args[i].IsNull() && !c.f.nulls {
			return wire.Null, true
		}
	}
	if n > maxFolded || c.f.size != nil && c.f.size(args) > maxFolded {
		return wire.Null, false
	}
	v, err := c.f.eval(args)
	return v, err == nil
}

func (c *call) Type() wire.Type { return c.t }

func (c *call) Eval(env *Env) (wire.Value, error) {
	args := make([]wire.Value, len(c.args))
	null := false
	for i, a := range c.args {
		v, err := a.Eval(env)
		if err != nil {
			return wire.Null, err
		}
		args[i] = v
		null = null || v.IsNull()
	}
	if null && !c.f.nulls {
		return wire.Null, nil
	}
	return c.f.run(env.Budget, args)
}

// smallBytes is how long values are that nobody counts.
const smallBytes = 1024

// run calls f within a budget, to which the result stays charged.
func (f *function) run(b *budget.Budget, a []wire.Value) (wire.Value, error) {
	in := 0
	for _, v := range a {
		in += len(v.Raw())
	}
	if err := b.Spend(1 + in/smallBytes); err != nil {
		return wire.Null, err
	}
	before := b.Held()
	if in > smallBytes || f.size != nil {
		room := max(2, f.held) * in
		if f.args[0] == wire.JSON {
			room += jsonNodeBytes * values(a[0].Raw())
		}
		if f.size != nil {
			room += f.size(a)
		}
		if err := b.Charge(room); err != nil {
			return wire.Null, err
		}
	}
	v, err := f.call(b, a)
	keeps := int64(0)
	if err == nil && len(v.Raw()) > smallBytes {
		keeps = int64(len(v.Raw()))
	}
	b.Release(before + keeps) // never all of it: the result is there already
	if more := before + keeps - b.Held(); err == nil && more > 0 {
		err = b.Charge(int(more))
	}
	return v, err
}

// values is how many values a JSON document has at most; each of them takes
// jsonNodeBytes when it is taken apart.
func values(doc string) int {
	return 1 + strings.Count(doc, ",") + strings.Count(doc, "[") + strings.Count(doc, "{")
}

const jsonNodeBytes = 160

func (f *function) call(b *budget.Budget, a []wire.Value) (wire.Value, error) {
	if f.long != nil {
		return f.long(b, a)
	}
	return f.eval(a)
}
