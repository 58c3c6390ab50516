package expr

import (
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/kalamdb/kalam-go/internal/dialect"
	"github.com/kalamdb/kalam-go/wire"
)

// Modifier is what a type name says of its values beside their type: the length
// of a VARCHAR(n), the digits of the seconds of a TIMESTAMP(n). It is n + 1; 0
// says nothing.
type Modifier int

const (
	maxLength  = 10485760 // characters, as in PostgreSQL
	maxSeconds = 6        // digits of seconds that a time has at all
)

// ParseModifier is the modifier of a type name whose type is t. The error is a
// *BindError.
func ParseModifier(name dialect.TypeName, t wire.Type) (Modifier, error) {
	if len(name.Args) != 1 || !modified(t.Kind) {
		return 0, nil
	}
	n := name.Args[0]
	if length(t.Kind) {
		if n < 1 || n > maxLength {
			return 0, errAt(name.Pos, wire.CodeInvalidSQL, "type ", name.Name, ": length must be between 1 and ", strconv.Itoa(maxLength))
		}
		return Modifier(n + 1), nil
	}
	if n < 0 {
		return 0, errAt(name.Pos, wire.CodeInvalidSQL, "type ", name.Name, ": precision must not be negative")
	}
	return Modifier(min(n, maxSeconds) + 1), nil
}

// length reports whether the modifier of a kind is a length.
func length(k wire.Kind) bool { return k == wire.Text || k == wire.Bytes }

func modified(k wire.Kind) bool {
	switch k {
	case wire.Text, wire.Bytes, wire.Time, wire.Timestamp, wire.DateTime, Interval:
		return true
	}
	return false
}

// Limit is the number that a modifier stands for; ok is false for none.
func (m Modifier) Limit() (n int, ok bool) { return int(m) - 1, m > 0 }

// ModifiedName writes a type with its modifier in SQL: VARCHAR(3), TIMESTAMP(0).
func ModifiedName(t wire.Type, m Modifier) string {
	n, ok := m.Limit()
	switch {
	case !ok:
		return TypeName(t)
	case t.Kind == wire.Text:
		return "VARCHAR(" + strconv.Itoa(n) + ")"
	}
	return TypeName(t) + "(" + strconv.Itoa(n) + ")"
}

// modifiers are the functions that apply a modifier. Their third argument says
// whether a value that is too long is cut, as in a cast, or refused, as in a
// column.
var modifiers = makeModifiers()

func makeModifiers() map[wire.Kind]*function {
	m := make(map[wire.Kind]*function)
	for _, k := range []wire.Kind{wire.Text, wire.Bytes, wire.Time, wire.Timestamp, wire.DateTime, Interval} {
		m[k] = &function{name: "modify", args: []wire.Kind{k, wire.Int, wire.Boolean}, result: k,
			eval: func(a []wire.Value) (wire.Value, error) { return modify(a[0], k, int(a[1].Int()), a[2].Bool()) }}
	}
	return m
}

// Modify applies a modifier to what goes into a column. The error is a
// *wire.Error.
func Modify(n Node, m Modifier) (Node, error) { return withModifier(n, m, false) }

func withModifier(n Node, m Modifier, cut bool) (Node, error) {
	limit, ok := m.Limit()
	if !ok || !modified(n.Type().Kind) {
		return n, nil
	}
	k := n.Type().Kind
	if c, ok := n.(*constant); ok && !c.v.IsNull() {
		v, err := modify(c.v, k, limit, cut)
		return &constant{v, c.t}, err
	}
	return newCall(modifiers[k], []Node{n, intConst(int64(limit)), &constant{wire.BoolValue(cut), boolean}})
}

func modify(v wire.Value, k wire.Kind, n int, cut bool) (wire.Value, error) {
	switch k {
	case wire.Text:
		s, rest := splitRunes(v.Text(), int64(n))
		if rest == "" || cut || strings.Trim(rest, " ") == "" {
			return wire.TextValue(s), nil
		}
		return wire.Null, wire.NewError(wire.CodeInvalidText, "value too long for type VARCHAR(", strconv.Itoa(n), "): it has ",
			strconv.Itoa(utf8.RuneCountInString(v.Text())), " characters")
	case wire.Bytes:
		b := v.Raw()
		if len(b) <= n {
			return v, nil
		}
		if cut {
			return wire.BytesValue([]byte(b[:n])), nil
		}
		return wire.Null, wire.NewError(wire.CodeInvalidText, "value too long for type BYTES(", strconv.Itoa(n), "): it has ", strconv.Itoa(len(b)), " bytes")
	case Interval:
		s := spanOf(v)
		whole, err := makeSpan(int64(s.months), int64(s.days), roundSeconds(s.us, n))
		return whole.value(), err
	case wire.Time:
		return wire.IntValue(roundSeconds(v.Int(), n)), nil
	}
	// PostgreSQL rounds away from its own epoch.
	const epoch = 946684800 * 1000000 // 2000-01-01
	return intResult(checkInstant(roundSeconds(v.Int()-epoch, n) + epoch))
}

// roundSeconds rounds microseconds to n digits behind the seconds, half away
// from zero.
func roundSeconds(us int64, n int) int64 {
	unit := int64(1)
	for ; n < maxSeconds; n++ {
		unit *= 10
	}
	if us < 0 {
		return -((-us + unit/2) / unit * unit)
	}
	return (us + unit/2) / unit * unit
}
