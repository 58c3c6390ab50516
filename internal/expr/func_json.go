package expr

import (
	"encoding/json"
	"strings"

	"github.com/kalamdb/kalam-go/wire"
)

// jsonOperators are ->, ->> and ?. What is not there is NULL.
var jsonOperators = makeJSONOperators()

func makeJSONOperators() []*function {
	var list []*function
	for _, k := range []wire.Kind{wire.Text, wire.Int} {
		find := jsonField
		if k == wire.Int {
			find = jsonItem
		}
		list = append(list,
			&function{name: "->", args: []wire.Kind{wire.JSON, k}, result: wire.JSON,
				eval: func(a []wire.Value) (wire.Value, error) {
					raw, ok := find(a[0].Text(), a[1])
					if !ok {
						return wire.Null, nil
					}
					return wire.TextValue(raw), nil
				}},
			&function{name: "->>", args: []wire.Kind{wire.JSON, k}, result: wire.Text,
				eval: func(a []wire.Value) (wire.Value, error) {
					raw, ok := find(a[0].Text(), a[1])
					if !ok {
						return wire.Null, nil
					}
					return jsonText(raw), nil
				}})
	}
	return append(list, &function{name: "?", args: []wire.Kind{wire.JSON, wire.Text}, result: wire.Boolean,
		eval: func(a []wire.Value) (wire.Value, error) {
			return wire.BoolValue(jsonHas(a[0].Text(), a[1].Text())), nil
		}})
}

var jsonFunctions = []*function{
	{name: "json_length", args: []wire.Kind{wire.JSON}, result: wire.BigInt, eval: func(a []wire.Value) (wire.Value, error) {
		n := int64(0)
		if !eachMember(a[0].Text(), func(string, string) bool { n++; return true }) {
			return wire.Null, nil
		}
		return wire.IntValue(n), nil
	}},
	{name: "json_length", args: []wire.Kind{wire.JSON, wire.Text}, result: wire.BigInt, eval: func(a []wire.Value) (wire.Value, error) {
		n := int64(0)
		part, ok := jsonField(a[0].Text(), a[1])
		if !ok || !eachMember(part, func(string, string) bool { n++; return true }) {
			return wire.Null, nil
		}
		return wire.IntValue(n), nil
	}},
}

// jsonOperands makes JSON of a text on the left, and takes a whole number on
// the right for an index.
func jsonOperands(op string, l, r Node) (Node, Node, error) {
	if isOpen(l) || categoryOf(l.Type().Kind) == catString {
		n, err := convert(l, typeOf(wire.JSON), explicit)
		if err != nil {
			return nil, nil, err
		}
		l = n
	}
	if p, ok := r.(*param); ok && isOpen(r) && isInt(p.Type().Kind) && op != "?" {
		n, err := resolve(r, typeOf(wire.Int))
		return l, n, err
	}
	return l, r, nil
}

// jsonPath binds json_get(doc, key, ...) and its kin: -> for every step but
// the last, then the operator, then a cast.
func jsonPath(op string, to wire.Kind) special {
	return func(b *binder, name string, args []Node) (Node, error) {
		if err := needArgs(name, args, 2); err != nil {
			return nil, err
		}
		n := args[0]
		for i, key := range args[1:] {
			step := "->"
			if i == len(args)-2 {
				step = op
			}
			l, r, err := jsonOperands(step, n, key)
			if err != nil {
				return nil, err
			}
			if n, err = b.operator(step, l, r); err != nil {
				return nil, err
			}
		}
		if to == wire.Unknown {
			return n, nil
		}
		return convert(n, typeOf(to), explicit)
	}
}

// eachMember calls fn for each member of the object or item of the array,
// whose key is empty. It returns false if doc is neither, or broken.
func eachMember(doc string, fn func(key, raw string) bool) bool {
	d := json.NewDecoder(strings.NewReader(doc))
	start, err := d.Token()
	if err != nil || start != json.Delim('{') && start != json.Delim('[') {
		return false
	}
	for d.More() {
		key := ""
		if start == json.Delim('{') {
			t, err := d.Token()
			if err != nil {
				return false
			}
			key, _ = t.(string)
		}
		var raw json.RawMessage
		if d.Decode(&raw) != nil {
			return false
		}
		if !fn(key, string(raw)) {
			return true
		}
	}
	return true
}

func isArray(doc string) bool { return strings.HasPrefix(strings.TrimLeft(doc, " \t\r\n"), "[") }

// jsonField finds a member of an object; the last of that name counts.
func jsonField(doc string, key wire.Value) (raw string, ok bool) {
	if isArray(doc) {
		return "", false
	}
	eachMember(doc, func(k, r string) bool {
		if k == key.Text() {
			raw, ok = r, true
		}
		return true
	})
	return raw, ok
}

// jsonItem finds an item of an array, from the end if the index is negative.
func jsonItem(doc string, index wire.Value) (raw string, ok bool) {
	if !isArray(doc) {
		return "", false
	}
	n := index.Int()
	if n < 0 {
		eachMember(doc, func(string, string) bool { n++; return true })
		if n < 0 {
			return "", false
		}
	}
	eachMember(doc, func(_, r string) bool {
		if n == 0 {
			raw, ok = r, true
		}
		n--
		return n >= 0
	})
	return raw, ok
}

// isScalar reports whether a document is neither an array nor an object.
func isScalar(doc string) bool {
	doc = strings.TrimSpace(doc)
	return !strings.HasPrefix(doc, "[") && !strings.HasPrefix(doc, "{")
}

// jsonHas reports whether key is a member's name, a string in the array, or the
// string that the document is.
func jsonHas(doc, key string) (found bool) {
	if isScalar(doc) {
		v := jsonText(strings.TrimSpace(doc))
		return strings.HasPrefix(strings.TrimSpace(doc), `"`) && v.Text() == key
	}
	array := isArray(doc)
	eachMember(doc, func(k, r string) bool {
		if array {
			v := jsonText(r)
			found = strings.HasPrefix(r, `"`) && v.Text() == key
		} else {
			found = k == key
		}
		return !found
	})
	return found
}

// jsonText is a JSON value as text: a string without its quotes, null as NULL.
func jsonText(raw string) wire.Value {
	switch {
	case raw == "null":
		return wire.Null
	case strings.HasPrefix(raw, `"`):
		var s string
		if json.Unmarshal([]byte(raw), &s) == nil {
			return wire.TextValue(s)
		}
	}
	return wire.TextValue(raw)
}
