package expr

import (
	"strings"
	"unicode/utf8"

	"github.com/kalamdb/kalam-go/wire"
)

// concatText is || of two texts.
var concatText = &function{name: "||", args: []wire.Kind{wire.Text, wire.Text}, result: wire.Text,
	eval: func(a []wire.Value) (wire.Value, error) {
		return wire.TextValue(a[0].Text() + a[1].Text()), nil
	}}

var textFunctions = makeTextFunctions()

func makeTextFunctions() []*function {
	var list []*function
	add := func(names string, result wire.Kind, eval func(a []wire.Value) (wire.Value, error), args ...wire.Kind) {
		for _, name := range strings.Fields(names) {
			list = append(list, &function{name: name, args: args, result: result, eval: eval})
		}
	}
	// text makes an evaluator of a function on strings.
	text := func(fn func(s string) string) func(a []wire.Value) (wire.Value, error) {
		return func(a []wire.Value) (wire.Value, error) { return wire.TextValue(fn(a[0].Text())), nil }
	}
	count := func(n int) (wire.Value, error) { return wire.IntValue(int64(n)), nil }

	add("lower", wire.Text, text(strings.ToLower), wire.Text)
	add("upper", wire.Text, text(strings.ToUpper), wire.Text)
	add("reverse", wire.Text, text(reverse), wire.Text)
	add("initcap", wire.Text, text(initcap), wire.Text)
	add("length char_length character_length", wire.Int, func(a []wire.Value) (wire.Value, error) {
		return count(utf8.RuneCountInString(a[0].Text()))
	}, wire.Text)
	octets := func(a []wire.Value) (wire.Value, error) { return count(len(a[0].Raw())) }
	add("octet_length", wire.Int, octets, wire.Text)
	add("length octet_length", wire.Int, octets, wire.Bytes)

	trim := func(cut func(s, set string) string, set bool) func(a []wire.Value) (wire.Value, error) {
		return func(a []wire.Value) (wire.Value, error) {
			if !set {
				return wire.TextValue(cut(a[0].Text(), " ")), nil
			}
			return wire.TextValue(cut(a[0].Text(), a[1].Text())), nil
		}
	}
	// With a set SQLite compares each character with all of it and hears no interrupt.
	for names, cut := range map[string]func(s, set string) string{
		"trim btrim": inSet(strings.Trim, strings.TrimFunc), "ltrim": inSet(strings.TrimLeft, strings.TrimLeftFunc), "rtrim": inSet(strings.TrimRight, strings.TrimRightFunc),
	} {
		add(names, wire.Text, trim(cut, false), wire.Text)
		add(names, wire.Text, trim(cut, true), wire.Text, wire.Text)
	}

	add("substring substr", wire.Text, func(a []wire.Value) (wire.Value, error) {
		return substring(a[0].Text(), a[1].Int(), -1)
	}, wire.Text, wire.Int)
	add("substring substr", wire.Text, func(a []wire.Value) (wire.Value, error) {
		if a[2].Int() < 0 {
			return wire.Null, wire.NewError(wire.CodeInvalidParameter, "negative substring length not allowed")
		}
		return substring(a[0].Text(), a[1].Int(), a[2].Int())
	}, wire.Text, wire.Int, wire.Int)
	add("replace", wire.Text, func(a []wire.Value) (wire.Value, error) {
		if a[1].Text() == "" {
			return a[0], nil
		}
		if size := len(a[0].Text()) + product(len(a[2].Text()), int64(strings.Count(a[0].Text(), a[1].Text()))); size > 2*maxText {
			return wire.Null, errTextTooLong()
		}
		return bounded(strings.ReplaceAll(a[0].Text(), a[1].Text(), a[2].Text()))
	}, wire.Text, wire.Text, wire.Text)
	add("left", wire.Text, func(a []wire.Value) (wire.Value, error) {
		head, _ := splitAt(a[0].Text(), a[1].Int())
		return wire.TextValue(head), nil
	}, wire.Text, wire.Int)
	add("right", wire.Text, func(a []wire.Value) (wire.Value, error) {
		_, tail := splitAt(a[0].Text(), -a[1].Int())
		if a[1].Int() == 0 {
			tail = ""
		}
		return wire.TextValue(tail), nil
	}, wire.Text, wire.Int)
	position := func(s, sub string) (wire.Value, error) {
		i := strings.Index(s, sub)
		if i < 0 {
			return count(0)
		}
		return count(utf8.RuneCountInString(s[:i]) + 1)
	}
	add("strpos", wire.Int, func(a []wire.Value) (wire.Value, error) {
		return position(a[0].Text(), a[1].Text())
	}, wire.Text, wire.Text)
	add("position", wire.Int, func(a []wire.Value) (wire.Value, error) {
		return position(a[1].Text(), a[0].Text())
	}, wire.Text, wire.Text)
	add("starts_with", wire.Boolean, func(a []wire.Value) (wire.Value, error) {
		return wire.BoolValue(strings.HasPrefix(a[0].Text(), a[1].Text())), nil
	}, wire.Text, wire.Text)
	add("repeat", wire.Text, func(a []wire.Value) (wire.Value, error) {
		n := max(a[1].Int(), 0)
		if int64(len(a[0].Text()))*n > maxText {
			return wire.Null, errTextTooLong()
		}
		return wire.TextValue(strings.Repeat(a[0].Text(), int(n))), nil
	}, wire.Text, wire.Int)
	for _, f := range list {
		switch f.name {
		case "repeat":
			f.size = func(a []wire.Value) int { return product(len(a[0].Raw()), max(a[1].Int(), 0)) }
		case "replace":
			f.size = func(a []wire.Value) int {
				if a[1].Text() == "" {
					return 0
				}
				return len(a[0].Text()) + product(len(a[2].Text()), int64(strings.Count(a[0].Text(), a[1].Text())))
			}
		case "reverse":
			f.held = 6
		}
	}
	return list
}

// maxText bounds the bytes of a text that a function makes.
const maxText = 64 << 20

func errTextTooLong() error {
	return wire.NewError(wire.CodeResultTooLarge, "the text is longer than 64 MiB")
}

// product is n times m for function.size, which no larger number helps.
func product(n int, m int64) int {
	if n == 0 || m == 0 {
		return 0
	}
	return n * int(min(m, int64(2*maxText/n+1)))
}

func bounded(s string) (wire.Value, error) {
	if len(s) > maxText {
		return wire.Null, errTextTooLong()
	}
	return wire.TextValue(s), nil
}

// substring counts characters from 1; a length of -1 means to the end. What
// lies before the first character counts and gives nothing.
func substring(s string, from, length int64) (wire.Value, error) {
	end := int64(len(s)) + 1
	if length >= 0 && from < end-length {
		end = from + length
	}
	from = max(from, 1)
	if from >= end {
		return wire.TextValue(""), nil
	}
	_, s = splitRunes(s, from-1)
	s, _ = splitRunes(s, end-from)
	return wire.TextValue(s), nil
}

// splitRunes splits s after n characters.
func splitRunes(s string, n int64) (head, tail string) {
	i := 0
	for ; n > 0 && i < len(s); n-- {
		_, w := utf8.DecodeRuneInString(s[i:])
		i += w
	}
	return s[:i], s[i:]
}

// splitAt splits s after n characters, from the end if n is negative.
func splitAt(s string, n int64) (head, tail string) {
	if n < 0 {
		n = max(n+int64(utf8.RuneCountInString(s)), 0)
	}
	return splitRunes(s, n)
}

func reverse(s string) string {
	r := []rune(s)
	for i, j := 0, len(r)-1; i < j; i, j = i+1, j-1 {
		r[i], r[j] = r[j], r[i]
	}
	return string(r)
}

func initcap(s string) string {
	var b strings.Builder
	inside := false
	for _, r := range s {
		word := isWord(r)
		switch {
		case word && inside:
			b.WriteString(strings.ToLower(string(r)))
		case word:
			b.WriteString(strings.ToUpper(string(r)))
		default:
			b.WriteRune(r)
		}
		inside = word
	}
	return b.String()
}

// inSet returns short, which compares each character with all of the set, for
// short sets, and for others what looks it up.
func inSet(short func(s, set string) string, long func(s string, in func(rune) bool) string) func(s, set string) string {
	return func(s, set string) string {
		if len(set) <= 64 {
			return short(s, set)
		}
		in := make(map[rune]bool)
		for _, r := range set {
			in[r] = true
		}
		return long(s, func(r rune) bool { return in[r] })
	}
}
