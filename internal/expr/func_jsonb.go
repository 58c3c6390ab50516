package expr

import (
	"cmp"
	"slices"
	"strconv"
	"strings"

	"github.com/kalamdb/kalam-go/internal/budget"
	"github.com/kalamdb/kalam-go/wire"
)

// The operators and functions that take documents apart. Paths and lists of
// keys are the text of an array, '{a,b,0}', since there is no type of arrays.
var documentOperators = makeDocumentOperators()

func makeDocumentOperators() []*function {
	var list []*function
	add := func(name string, result wire.Kind, eval func(a []wire.Value) (wire.Value, error), args ...wire.Kind) {
		list = append(list, &function{name: name, args: args, result: result, eval: eval})
	}
	long := func(name string, eval func(b *budget.Budget, a []wire.Value) (wire.Value, error), args ...wire.Kind) {
		list = append(list, &function{name: name, args: args, result: wire.Boolean, long: eval})
	}
	doc, text := wire.JSON, wire.Text
	add("#>", doc, func(a []wire.Value) (wire.Value, error) {
		raw, ok, err := walkPath(a[0].Text(), a[1].Text())
		if err != nil || !ok {
			return wire.Null, err
		}
		return wire.TextValue(raw), nil
	}, doc, text)
	add("#>>", text, func(a []wire.Value) (wire.Value, error) {
		raw, ok, err := walkPath(a[0].Text(), a[1].Text())
		if err != nil || !ok {
			return wire.Null, err
		}
		return jsonText(raw), nil
	}, doc, text)
	for name, all := range map[string]bool{"?|": false, "?&": true} {
		long(name, func(b *budget.Budget, a []wire.Value) (wire.Value, error) {
			keys, err := parsePath(a[1].Text())
			if err != nil {
				return wire.Null, err
			}
			found := slices.ContainsFunc(keys, func(k string) bool {
				err = cmp.Or(err, b.Spend(1+len(a[0].Text())))
				return err != nil || jsonHas(a[0].Text(), k) != all
			})
			return wire.BoolValue(found != all), err
		}, doc, text)
	}
	contain := func(b *budget.Budget, outer, inner string) (wire.Value, error) {
		n, err := parseJSON(outer)
		if err != nil {
			return wire.Null, err
		}
		m, err := parseJSON(inner)
		if err != nil {
			return wire.Null, err
		}
		c := container{b: b}
		return wire.BoolValue(c.contains(n, m, true)), c.err
	}
	long("@>", func(b *budget.Budget, a []wire.Value) (wire.Value, error) {
		return contain(b, a[0].Text(), a[1].Text())
	}, doc, doc)
	long("<@", func(b *budget.Budget, a []wire.Value) (wire.Value, error) {
		return contain(b, a[1].Text(), a[0].Text())
	}, doc, doc)
	add("||", doc, joinJSON, doc, doc)
	add("-", doc, func(a []wire.Value) (wire.Value, error) {
		n, err := parseJSON(a[0].Text())
		if err != nil {
			return wire.Null, err
		}
		switch n.kind {
		case '{':
			n.remove(a[1].Text())
		case '[':
			n.items = slices.DeleteFunc(n.items, func(item *jsonNode) bool { return item.kind == 's' && item.text == a[1].Text() })
		default:
			return wire.Null, wire.NewError(wire.CodeInvalidParameter, "cannot delete from scalar")
		}
		return n.value()
	}, doc, text)
	add("-", doc, func(a []wire.Value) (wire.Value, error) {
		n, err := parseJSON(a[0].Text())
		if err != nil {
			return wire.Null, err
		}
		switch n.kind {
		case '{':
			return wire.Null, wire.NewError(wire.CodeInvalidParameter, "cannot delete from object using integer index")
		case '[':
		default:
			return wire.Null, wire.NewError(wire.CodeInvalidParameter, "cannot delete from scalar")
		}
		if i, ok := n.index(a[1].Int()); ok {
			n.items = slices.Delete(n.items, i, i+1)
		}
		return n.value()
	}, doc, wire.Int)
	return list
}

// walkPath follows a path of keys and indexes.
func walkPath(doc, path string) (raw string, ok bool, err error) {
	keys, err := parsePath(path)
	if err != nil {
		return "", false, err
	}
	raw = strings.TrimSpace(doc)
	for _, k := range keys {
		if raw, ok = stepInto(raw, k); !ok {
			return "", false, nil
		}
	}
	return raw, true, nil
}

func stepInto(doc, key string) (raw string, ok bool) {
	if !isArray(doc) {
		return jsonField(doc, wire.TextValue(key))
	}
	i, err := strconv.ParseInt(key, 10, 32)
	if err != nil {
		return "", false
	}
	return jsonItem(doc, wire.IntValue(i))
}

// joinJSON merges two objects, or joins arrays, for which a scalar is an array
// of one.
func joinJSON(a []wire.Value) (wire.Value, error) {
	l, err := parseJSON(a[0].Text())
	if err != nil {
		return wire.Null, err
	}
	r, err := parseJSON(a[1].Text())
	if err != nil {
		return wire.Null, err
	}
	if l.kind == '{' && r.kind == '{' {
		for i, k := range r.keys {
			l.set(k, r.items[i])
		}
		return l.value()
	}
	out := &jsonNode{kind: '['}
	for _, n := range []*jsonNode{l, r} {
		if n.kind == '[' {
			out.items = append(out.items, n.items...)
		} else {
			out.items = append(out.items, n)
		}
	}
	return out.value()
}

var documentFunctions = makeDocumentFunctions()

func makeDocumentFunctions() []*function {
	var list []*function
	add := func(names string, result wire.Kind, eval func(a []wire.Value) (wire.Value, error), args ...wire.Kind) {
		for _, name := range strings.Fields(names) {
			list = append(list, &function{name: name, args: args, result: result, eval: eval})
		}
	}
	// node makes an evaluator of a function on the document taken apart.
	node := func(fn func(n *jsonNode, a []wire.Value) (wire.Value, error)) func(a []wire.Value) (wire.Value, error) {
		return func(a []wire.Value) (wire.Value, error) {
			n, err := parseJSON(a[0].Text())
			if err != nil {
				return wire.Null, err
			}
			return fn(n, a)
		}
	}
	doc, text := wire.JSON, wire.Text
	add("json_typeof jsonb_typeof", text, node(func(n *jsonNode, _ []wire.Value) (wire.Value, error) {
		return wire.TextValue(map[byte]string{'{': "object", '[': "array", 's': "string", '0': "number", 't': "boolean", 'n': "null"}[n.kind]), nil
	}), doc)
	add("json_array_length jsonb_array_length", wire.Int, node(func(n *jsonNode, _ []wire.Value) (wire.Value, error) {
		if n.kind != '[' {
			return wire.Null, wire.NewError(wire.CodeInvalidParameter, "cannot get array length of a non-array")
		}
		return wire.IntValue(int64(len(n.items))), nil
	}), doc)
	add("json_strip_nulls jsonb_strip_nulls", doc, node(func(n *jsonNode, _ []wire.Value) (wire.Value, error) {
		n.stripNulls()
		return n.value()
	}), doc)
	add("jsonb_pretty", text, node(func(n *jsonNode, _ []wire.Value) (wire.Value, error) {
		return bounded(string(n.pretty(nil, "")))
	}), doc)
	add("json_object_keys", doc, node(func(n *jsonNode, _ []wire.Value) (wire.Value, error) {
		if n.kind != '{' {
			return wire.Null, nil
		}
		out := &jsonNode{kind: '['}
		for _, k := range n.keys {
			out.items = append(out.items, &jsonNode{kind: 's', text: k})
		}
		return out.value()
	}), doc)
	set := node(func(n *jsonNode, a []wire.Value) (wire.Value, error) {
		path, err := parsePath(a[1].Text())
		if err != nil {
			return wire.Null, err
		}
		item, err := parseJSON(a[2].Text())
		if err != nil {
			return wire.Null, err
		}
		if n.kind != '{' && n.kind != '[' {
			return wire.Null, wire.NewError(wire.CodeInvalidParameter, "cannot set path in scalar")
		}
		if err := n.setPath(path, item, len(a) < 4 || a[3].Bool()); err != nil {
			return wire.Null, err
		}
		return n.value()
	})
	add("jsonb_set json_set", doc, set, doc, text, doc)
	add("jsonb_set json_set", doc, set, doc, text, doc, wire.Boolean)
	for k := range kindCodes {
		if kindCodes[k] == "" || wire.Kind(k) == wire.Unknown {
			continue
		}
		add("to_json to_jsonb", doc, func(a []wire.Value) (wire.Value, error) {
			return wire.TextValue(jsonOf(a[0], wire.Kind(k))), nil
		}, wire.Kind(k))
	}
	return list
}

// setPath replaces what is at the path, or adds it where only the last step is
// missing.
func (n *jsonNode) setPath(path []string, item *jsonNode, create bool) error {
	if len(path) == 0 {
		return nil
	}
	last := len(path) == 1
	if n.kind == '{' {
		at := n.get(path[0])
		switch {
		case last && (at != nil || create):
			n.set(path[0], item)
		case at != nil && !last:
			return at.setPath(path[1:], item, create)
		}
		return nil
	}
	if n.kind != '[' {
		return nil
	}
	i, err := strconv.ParseInt(path[0], 10, 32)
	if err != nil {
		return wire.NewError(wire.CodeInvalidText, `path element is not an integer: "`, cut(path[0]), `"`)
	}
	at, ok := n.index(i)
	switch {
	case ok && last:
		n.items[at] = item
	case ok:
		return n.items[at].setPath(path[1:], item, create)
	case last && create && i < 0:
		n.items = slices.Insert(n.items, 0, item)
	case last && create:
		n.items = append(n.items, item)
	}
	return nil
}

// canonical gives a document the form of jsonb.
var canonical = &function{name: "jsonb", args: []wire.Kind{wire.JSON}, result: wire.JSON,
	eval: func(a []wire.Value) (wire.Value, error) {
		n, err := parseJSON(a[0].Text())
		if err != nil {
			return wire.Null, err
		}
		return n.value()
	}}

// jsonKey writes the key of a member, which must be something.
var jsonKey = &function{name: "json_key", args: []wire.Kind{wire.Text}, result: wire.Text, nulls: true,
	eval: func(a []wire.Value) (wire.Value, error) {
		if a[0].IsNull() {
			return wire.Null, wire.NewError(wire.CodeInvalidParameter, "a key of a JSON object must not be null")
		}
		return wire.TextValue(string(quoteJSON(nil, a[0].Text()))), nil
	}}

// jsonStep is one step of a path: the key of a member, or an index as text.
var jsonStep = &function{name: "json_step", args: []wire.Kind{wire.JSON, wire.Text}, result: wire.JSON,
	eval: func(a []wire.Value) (wire.Value, error) {
		raw, ok := stepInto(a[0].Text(), a[1].Text())
		if !ok {
			return wire.Null, nil
		}
		return wire.TextValue(raw), nil
	}}

// jsonUnquote is what ->> makes of a value.
var jsonUnquote = &function{name: "json_unquote", args: []wire.Kind{wire.JSON}, result: wire.Text,
	eval: func(a []wire.Value) (wire.Value, error) { return jsonText(a[0].Text()), nil }}

func bindExtractPath(_ *binder, name string, args []Node) (Node, error) {
	if err := needArgs(name, args, 2); err != nil {
		return nil, err
	}
	n := args[0]
	for _, key := range args[1:] {
		var err error
		if n, err = newCall(jsonStep, []Node{n, key}); err != nil {
			return nil, err
		}
	}
	if strings.HasSuffix(name, "_text") {
		return newCall(jsonUnquote, []Node{n})
	}
	return n, nil
}

// toJSON is to_json of any node.
func toJSON(n Node) (Node, error) {
	n, err := settle(n)
	if err != nil || n.Type().Kind == wire.JSON {
		return n, err
	}
	f, _ := choose(functions["to_json"], []wire.Kind{n.Type().Kind})
	return newCall(f, []Node{n})
}

// bindBuild is json_build_array and json_build_object: the text of their parts,
// joined.
func bindBuild(_ *binder, name string, args []Node) (Node, error) {
	text := typeOf(wire.Text)
	literal := func(s string) Node { return &constant{wire.TextValue(s), text} }
	object := strings.HasSuffix(name, "object")
	open, end, colon := "[", "]", " : "
	if object {
		open, end = "{", "}"
		if len(args)%2 == 1 {
			return nil, wire.NewError(wire.CodeInvalidParameter, "argument list must have even number of elements")
		}
	}
	parts := []Node{literal(open)}
	for i, a := range args {
		if object && i%2 == 0 {
			if i > 0 {
				parts = append(parts, literal(", "))
			}
			key, err := convert(a, text, explicit)
			if err == nil {
				key, err = newCall(jsonKey, []Node{key})
			}
			if err != nil {
				return nil, err
			}
			parts = append(parts, key, literal(colon))
			continue
		}
		if !object && i > 0 {
			parts = append(parts, literal(", "))
		}
		n, err := toJSON(a)
		if err == nil {
			n, err = convert(n, text, explicit)
		}
		if err != nil {
			return nil, err
		}
		parts = append(parts, &coalesce{[]Node{n, literal("null")}, text})
	}
	n, err := joinAll(append(parts, literal(end)))
	if err == nil {
		n, err = convert(n, typeOf(wire.JSON), explicit)
	}
	if err != nil || !strings.HasPrefix(name, "jsonb") {
		return n, err
	}
	return newCall(canonical, []Node{n})
}

// jsonList is json_agg.
type jsonList struct {
	b []byte
	n int
}

func (l *jsonList) step(a []wire.Value) error {
	if l.n > 0 {
		l.b = append(l.b, ", "...)
	}
	l.n++
	if a[0].IsNull() {
		l.b = append(l.b, "null"...)
	} else {
		l.b = append(l.b, a[0].Text()...)
	}
	if len(l.b) > maxText {
		return errTextTooLong()
	}
	return nil
}

func (l *jsonList) holds() int { return cap(l.b) }

func (l *jsonList) final() (wire.Value, error) {
	if l.n == 0 {
		return wire.Null, nil
	}
	return bounded("[" + string(l.b) + "]")
}

// jsonMembers is json_object_agg, or jsonb_object_agg.
type jsonMembers struct {
	list   jsonList
	binary bool
}

func (m *jsonMembers) step(a []wire.Value) error {
	if a[0].IsNull() {
		return wire.NewError(wire.CodeInvalidParameter, "field name must not be null")
	}
	value := "null"
	if !a[1].IsNull() {
		value = a[1].Text()
	}
	return m.list.step([]wire.Value{wire.TextValue(string(quoteJSON(nil, a[0].Text())) + " : " + value)})
}

func (m *jsonMembers) holds() int {
	if m.binary {
		return m.list.holds() + jsonNodeBytes*m.list.n // it is taken apart in the end
	}
	return m.list.holds()
}

func (m *jsonMembers) final() (wire.Value, error) {
	if m.list.n == 0 {
		return wire.Null, nil
	}
	if !m.binary {
		return bounded("{ " + string(m.list.b) + " }")
	}
	n, err := parseJSON("{" + string(m.list.b) + "}")
	if err != nil {
		return wire.Null, err
	}
	return n.value()
}

// jsonArgs turns the arguments of a JSON aggregate into JSON, but for keys.
func jsonArgs(name string, args []Node) error {
	if !strings.HasPrefix(name, "json") {
		return nil
	}
	var err error
	last := len(args) - 1
	if args[last], err = toJSON(args[last]); err == nil && last > 0 {
		args[0], err = convert(args[0], typeOf(wire.Text), explicit)
	}
	return err
}
