package expr

import (
	"cmp"
	"encoding/json"
	"maps"
	"slices"
	"strings"

	"github.com/kalamdb/kalam-go/internal/budget"
	"github.com/kalamdb/kalam-go/wire"
)

// jsonNode is a JSON value taken apart. A number keeps its digits.
type jsonNode struct {
	kind  byte // '{', '[', 's' string, '0' number, 't' boolean, 'n' null
	text  string
	keys  []string // of an object, in the order of jsonb: short ones first
	items []*jsonNode
}

func parseJSON(doc string) (*jsonNode, error) {
	d := json.NewDecoder(strings.NewReader(doc))
	d.UseNumber()
	n, err := readJSON(d)
	if err != nil {
		return nil, errInput(typeOf(wire.JSON), doc)
	}
	return n, nil
}

func readJSON(d *json.Decoder) (*jsonNode, error) {
	t, err := d.Token()
	if err != nil {
		return nil, err
	}
	switch t := t.(type) {
	case nil:
		return &jsonNode{kind: 'n', text: "null"}, nil
	case bool:
		return &jsonNode{kind: 't', text: formatValue(wire.BoolValue(t), wire.Boolean)}, nil
	case string:
		return &jsonNode{kind: 's', text: t}, nil
	case json.Number:
		s := t.String()
		if strings.ContainsAny(s, "eE") {
			if d, err := parseDecimal(s); err == nil {
				s = d.String()
			}
		}
		return &jsonNode{kind: '0', text: s}, nil
	}
	n := &jsonNode{kind: '['}
	if t == json.Delim('{') {
		n.kind = '{'
	}
	for d.More() {
		key := ""
		if n.kind == '{' {
			k, err := d.Token()
			if err != nil {
				return nil, err
			}
			key, _ = k.(string)
		}
		item, err := readJSON(d)
		if err != nil {
			return nil, err
		}
		if n.kind == '{' {
			n.keys = append(n.keys, key)
		}
		n.items = append(n.items, item)
	}
	n.order()
	_, err = d.Token()
	return n, err
}

// order sorts the members of an object, of which the last of a name counts.
func (n *jsonNode) order() {
	if slices.IsSortedFunc(n.keys, func(a, b string) int { return cmp.Or(compareKeys(a, b), -1) }) {
		return
	}
	last := make(map[string]*jsonNode, len(n.keys))
	for i, k := range n.keys {
		last[k] = n.items[i]
	}
	n.keys = slices.SortedFunc(maps.Keys(last), compareKeys)
	n.items = n.items[:0]
	for _, k := range n.keys {
		n.items = append(n.items, last[k])
	}
}

func compareKeys(a, b string) int { return cmp.Or(len(a)-len(b), strings.Compare(a, b)) }

func (n *jsonNode) get(key string) *jsonNode {
	if i, ok := slices.BinarySearchFunc(n.keys, key, compareKeys); ok {
		return n.items[i]
	}
	return nil
}

func (n *jsonNode) set(key string, item *jsonNode) {
	i, ok := slices.BinarySearchFunc(n.keys, key, compareKeys)
	if ok {
		n.items[i] = item
		return
	}
	n.keys = slices.Insert(n.keys, i, key)
	n.items = slices.Insert(n.items, i, item)
}

func (n *jsonNode) remove(key string) {
	if i, ok := slices.BinarySearchFunc(n.keys, key, compareKeys); ok {
		n.keys = slices.Delete(n.keys, i, i+1)
		n.items = slices.Delete(n.items, i, i+1)
	}
}

// index gives the place of item number i, from the end if it is negative; ok
// is false if there is none.
func (n *jsonNode) index(i int64) (int, bool) {
	if i < 0 {
		i += int64(len(n.items))
	}
	return int(i), i >= 0 && i < int64(len(n.items))
}

// write appends the form of jsonb: one space behind commas and colons.
func (n *jsonNode) write(b []byte) []byte {
	switch n.kind {
	case 's':
		return quoteJSON(b, n.text)
	case '{', '[':
		b = append(b, n.kind)
		for i, item := range n.items {
			if i > 0 {
				b = append(b, ", "...)
			}
			if n.kind == '{' {
				b = append(quoteJSON(b, n.keys[i]), ": "...)
			}
			b = item.write(b)
		}
		return append(b, n.kind+2)
	}
	return append(b, n.text...)
}

// pretty appends the form of jsonb_pretty.
func (n *jsonNode) pretty(b []byte, indent string) []byte {
	if n.kind != '{' && n.kind != '[' {
		return n.write(b)
	}
	b = append(b, n.kind)
	for i, item := range n.items {
		if len(b) > maxText {
			return b // which is too long whatever follows
		}
		if i > 0 {
			b = append(b, ',')
		}
		b = append(append(b, '\n'), indent+"    "...)
		if n.kind == '{' {
			b = append(quoteJSON(b, n.keys[i]), ": "...)
		}
		b = item.pretty(b, indent+"    ")
	}
	b = append(append(b, '\n'), indent...)
	return append(b, n.kind+2)
}

func (n *jsonNode) value() (wire.Value, error) { return bounded(string(n.write(nil))) }

func quoteJSON(b []byte, s string) []byte {
	const hexDigits = "0123456789abcdef"
	b = append(b, '"')
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case c == '"' || c == '\\':
			b = append(b, '\\', c)
		case c == '\n':
			b = append(b, `\n`...)
		case c == '\r':
			b = append(b, `\r`...)
		case c == '\t':
			b = append(b, `\t`...)
		case c == '\b':
			b = append(b, `\b`...)
		case c == '\f':
			b = append(b, `\f`...)
		case c < 0x20:
			b = append(b, `\u00`...)
			b = append(b, hexDigits[c>>4], hexDigits[c&15])
		default:
			b = append(b, c)
		}
	}
	return append(b, '"')
}

func (n *jsonNode) equal(m *jsonNode) bool {
	if n.kind != m.kind || len(n.items) != len(m.items) || !slices.Equal(n.keys, m.keys) {
		return false
	}
	for i := range n.items {
		if !n.items[i].equal(m.items[i]) {
			return false
		}
	}
	if n.kind == '0' {
		a, errA := parseDecimal(n.text)
		b, errB := parseDecimal(m.text)
		return errA == nil && errB == nil && compareDecimal(a.String(), b.String()) == 0
	}
	return n.text == m.text
}

// container tests whether documents contain others.
type container struct {
	b   *budget.Budget
	err error // of b; nothing counts after it
}

// contains is n @> m.
func (c *container) contains(n, m *jsonNode, top bool) bool {
	if c.err == nil {
		c.err = c.b.Spend(1 + len(n.items))
	}
	switch {
	case c.err != nil:
		return false
	case n.kind == '{' && m.kind == '{':
		for i, k := range m.keys {
			if item := n.get(k); item == nil || !c.contains(item, m.items[i], false) {
				return false
			}
		}
		return true
	case n.kind == '[' && m.kind == '[':
		for _, want := range m.items {
			if !slices.ContainsFunc(n.items, func(item *jsonNode) bool { return c.contains(item, want, false) }) {
				return false
			}
		}
		return true
	case top && n.kind == '[' && m.kind != '{':
		return slices.ContainsFunc(n.items, m.equal)
	}
	return n.equal(m)
}

// stripNulls drops the members of objects that are null.
func (n *jsonNode) stripNulls() {
	kept := 0
	for i, item := range n.items {
		item.stripNulls()
		if n.kind == '{' && item.kind == 'n' {
			continue
		}
		if n.items[kept] = item; n.kind == '{' {
			n.keys[kept] = n.keys[i]
		}
		kept++
	}
	n.items = n.items[:kept]
	if n.kind == '{' {
		n.keys = n.keys[:kept]
	}
}

// parsePath reads the text of an array: {a,"b c",0}.
func parsePath(s string) ([]string, error) {
	bad := wire.NewError(wire.CodeInvalidText, `malformed array literal: "`, cut(s), `"`)
	t := strings.TrimSpace(s)
	if !strings.HasPrefix(t, "{") || !strings.HasSuffix(t, "}") || len(t) < 2 {
		return nil, bad
	}
	t = t[1 : len(t)-1]
	var path []string
	for strings.TrimSpace(t) != "" || len(path) > 0 {
		t = strings.TrimLeft(t, " ")
		var item strings.Builder
		if rest, ok := strings.CutPrefix(t, `"`); ok {
			i := 0
			for ; i < len(rest) && rest[i] != '"'; i++ {
				if rest[i] == '\\' && i+1 < len(rest) {
					i++
				}
				item.WriteByte(rest[i])
			}
			if i >= len(rest) {
				return nil, bad
			}
			t = strings.TrimLeft(rest[i+1:], " ")
		} else {
			end := strings.IndexByte(t, ',')
			if end < 0 {
				end = len(t)
			}
			word := strings.TrimSpace(t[:end])
			if word == "" || strings.ContainsAny(word, `{}"`) {
				return nil, bad
			}
			item.WriteString(word)
			t = t[end:]
		}
		path = append(path, item.String())
		if t == "" {
			return path, nil
		}
		if t[0] != ',' {
			return nil, bad
		}
		t = t[1:]
	}
	return path, nil
}

// jsonOf writes a value of a kind as JSON.
func jsonOf(v wire.Value, k wire.Kind) string {
	switch k {
	case wire.JSON, wire.File, wire.Boolean, wire.SmallInt, wire.Int, wire.BigInt, wire.Decimal, wire.Float, wire.Double, wire.Embedding:
		return formatValue(v, k)
	case wire.Timestamp:
		return string(quoteJSON(nil, strings.Replace(formatValue(v, k), " ", "T", 1)))
	case wire.DateTime:
		s := strings.Replace(formatValue(v, k), " ", "T", 1)
		return string(quoteJSON(nil, strings.Replace(s, "+00", "+00:00", 1)))
	}
	return string(quoteJSON(nil, formatValue(v, k)))
}
