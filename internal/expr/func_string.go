package expr

import (
	"crypto/md5"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"encoding/hex"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/kalamdb/kalam-go/wire"
)

var stringFunctions = makeStringFunctions()

func makeStringFunctions() []*function {
	var list []*function
	add := func(name string, result wire.Kind, eval func(a []wire.Value) (wire.Value, error), args ...wire.Kind) {
		list = append(list, &function{name: name, args: args, result: result, eval: eval})
	}
	text, number, bytes := wire.Text, wire.Int, wire.Bytes
	for name, left := range map[string]bool{"lpad": true, "rpad": false} {
		add(name, text, func(a []wire.Value) (wire.Value, error) { return padText(a[0].Text(), a[1].Int(), " ", left) }, text, number)
		add(name, text, func(a []wire.Value) (wire.Value, error) { return padText(a[0].Text(), a[1].Int(), a[2].Text(), left) }, text, number, text)
	}
	add("split_part", text, func(a []wire.Value) (wire.Value, error) { return splitPart(a[0].Text(), a[1].Text(), a[2].Int()) }, text, text, number)
	add("translate", text, func(a []wire.Value) (wire.Value, error) {
		return wire.TextValue(translate(a[0].Text(), a[1].Text(), a[2].Text())), nil
	}, text, text, text)
	add("ascii", number, func(a []wire.Value) (wire.Value, error) {
		r, n := utf8.DecodeRuneInString(a[0].Text())
		if n == 0 {
			r = 0
		}
		return wire.IntValue(int64(r)), nil
	}, text)
	add("chr", text, func(a []wire.Value) (wire.Value, error) {
		n := a[0].Int()
		if n <= 0 || n > utf8.MaxRune || !utf8.ValidRune(rune(n)) {
			return wire.Null, wire.NewError(wire.CodeInvalidParameter, "requested character not valid for encoding: ", strconv.FormatInt(n, 10))
		}
		return wire.TextValue(string(rune(n))), nil
	}, number)
	for _, k := range []wire.Kind{text, bytes} {
		add("md5", text, func(a []wire.Value) (wire.Value, error) {
			sum := md5.Sum([]byte(a[0].Raw()))
			return wire.TextValue(hex.EncodeToString(sum[:])), nil
		}, k)
		add("bit_length", number, func(a []wire.Value) (wire.Value, error) { return wire.IntValue(int64(8 * len(a[0].Raw()))), nil }, k)
	}
	for name, sum := range map[string]func(b []byte) []byte{
		"sha224": func(b []byte) []byte { s := sha256.Sum224(b); return s[:] },
		"sha256": func(b []byte) []byte { s := sha256.Sum256(b); return s[:] },
		"sha384": func(b []byte) []byte { s := sha512.Sum384(b); return s[:] },
		"sha512": func(b []byte) []byte { s := sha512.Sum512(b); return s[:] },
	} {
		add(name, bytes, func(a []wire.Value) (wire.Value, error) { return wire.BytesValue(sum([]byte(a[0].Raw()))), nil }, bytes)
	}
	add("encode", text, func(a []wire.Value) (wire.Value, error) { return encodeBytes([]byte(a[0].Raw()), a[1].Text()) }, bytes, text)
	add("decode", bytes, func(a []wire.Value) (wire.Value, error) { return decodeBytes(a[0].Text(), a[1].Text()) }, text, text)
	add("substring", bytes, func(a []wire.Value) (wire.Value, error) { return subBytes(a[0].Raw(), a[1].Int(), -1) }, bytes, number)
	add("substring", bytes, func(a []wire.Value) (wire.Value, error) { return subBytes(a[0].Raw(), a[1].Int(), a[2].Int()) }, bytes, number, number)
	add("position", number, func(a []wire.Value) (wire.Value, error) {
		return wire.IntValue(int64(strings.Index(a[1].Raw(), a[0].Raw()) + 1)), nil
	}, bytes, bytes)
	add("get_byte", number, func(a []wire.Value) (wire.Value, error) {
		if n := a[1].Int(); n < 0 || n >= int64(len(a[0].Raw())) {
			return wire.Null, wire.NewError(wire.CodeInvalidParameter, "index ", strconv.FormatInt(n, 10), " out of valid range")
		}
		return wire.IntValue(int64(a[0].Raw()[a[1].Int()])), nil
	}, bytes, number)
	add("to_hex", text, func(a []wire.Value) (wire.Value, error) {
		return wire.TextValue(strconv.FormatUint(uint64(uint32(a[0].Int())), 16)), nil
	}, number)
	add("to_hex", text, func(a []wire.Value) (wire.Value, error) {
		return wire.TextValue(strconv.FormatUint(uint64(a[0].Int()), 16)), nil
	}, wire.BigInt)
	add("quote_literal", text, func(a []wire.Value) (wire.Value, error) { return wire.TextValue(quoteLiteral(a[0].Text())), nil }, text)
	add("quote_ident", text, func(a []wire.Value) (wire.Value, error) { return wire.TextValue(quoteIdent(a[0].Text())), nil }, text)
	list = append(list, &function{name: "quote_nullable", args: []wire.Kind{text}, result: text, nulls: true,
		eval: func(a []wire.Value) (wire.Value, error) {
			if a[0].IsNull() {
				return wire.TextValue("NULL"), nil
			}
			return wire.TextValue(quoteLiteral(a[0].Text())), nil
		}})
	overlay := func(s, with string, from, length int64) (wire.Value, error) {
		if from < 1 || length < 0 && from+length < 1 {
			return wire.Null, wire.NewError(wire.CodeInvalidParameter, "negative substring length not allowed")
		}
		head, _ := splitRunes(s, from-1)
		_, tail := splitRunes(s, from-1+length)
		return bounded(head + with + tail)
	}
	add("overlay", text, func(a []wire.Value) (wire.Value, error) {
		return overlay(a[0].Text(), a[1].Text(), a[2].Int(), int64(utf8.RuneCountInString(a[1].Text())))
	}, text, text, number)
	add("overlay", text, func(a []wire.Value) (wire.Value, error) {
		return overlay(a[0].Text(), a[1].Text(), a[2].Int(), a[3].Int())
	}, text, text, number, number)
	for _, f := range list {
		switch f.name {
		case "lpad", "rpad":
			f.size = func(a []wire.Value) int { return product(2*utf8.UTFMax, max(a[1].Int(), 0)) }
			f.held = 5
		case "translate", "overlay", "encode", "decode":
			f.held = 5
		}
	}
	return list
}

func padText(s string, n int64, fill string, left bool) (wire.Value, error) {
	n = max(n, 0)
	if n > maxText {
		return wire.Null, errTextTooLong()
	}
	missing := n - int64(utf8.RuneCountInString(s))
	if missing <= 0 || fill == "" {
		s, _ = splitRunes(s, n)
		return wire.TextValue(s), nil
	}
	runes := []rune(fill)
	var b strings.Builder
	for i := range missing {
		b.WriteRune(runes[i%int64(len(runes))])
	}
	if left {
		return bounded(b.String() + s)
	}
	return bounded(s + b.String())
}

func splitPart(s, sep string, n int64) (wire.Value, error) {
	if n == 0 {
		return wire.Null, wire.NewError(wire.CodeInvalidParameter, "field position must not be zero")
	}
	count := int64(1)
	if sep != "" && s != "" {
		count += int64(strings.Count(s, sep))
	}
	if n < 0 {
		n += count + 1
	}
	if n < 1 || n > count {
		return wire.TextValue(""), nil
	}
	for ; n > 1; n-- {
		_, s, _ = strings.Cut(s, sep)
	}
	if count > 1 {
		s, _, _ = strings.Cut(s, sep)
	}
	return wire.TextValue(s), nil
}

// translate replaces each character of from by the one at its place in to, or
// drops it.
func translate(s, from, to string) string {
	m := map[rune]rune{}
	target := []rune(to)
	for i, r := range []rune(from) {
		if _, ok := m[r]; ok {
			continue
		}
		m[r] = -1
		if i < len(target) {
			m[r] = target[i]
		}
	}
	return strings.Map(func(r rune) rune {
		if t, ok := m[r]; ok {
			return t
		}
		return r
	}, s)
}

func subBytes(s string, from, length int64) (wire.Value, error) {
	end := int64(len(s)) + 1
	if length >= 0 && from < end-length {
		end = from + length
	}
	from = max(from, 1)
	if from >= end {
		return wire.BytesValue(nil), nil
	}
	return wire.BytesValue([]byte(s[from-1 : end-1])), nil
}

func errEncoding(name string) *wire.Error {
	return wire.NewError(wire.CodeInvalidParameter, `unrecognized encoding: "`, cut(name), `"`)
}

func encodeBytes(b []byte, name string) (wire.Value, error) {
	switch strings.ToLower(name) {
	case "hex":
		return bounded(hex.EncodeToString(b))
	case "base64":
		// PostgreSQL breaks lines after 76 characters.
		s := base64.StdEncoding.EncodeToString(b)
		var out strings.Builder
		for len(s) > 76 {
			out.WriteString(s[:76] + "\n")
			s = s[76:]
		}
		return bounded(out.String() + s)
	case "escape":
		var out strings.Builder
		for _, c := range b {
			switch {
			case c == 0 || c >= 0x80:
				out.WriteString(`\` + string([]byte{'0' + c>>6, '0' + c>>3&7, '0' + c&7}))
			case c == '\\':
				out.WriteString(`\\`)
			default:
				out.WriteByte(c)
			}
		}
		return bounded(out.String())
	}
	return wire.Null, errEncoding(name)
}

func decodeBytes(s, name string) (wire.Value, error) {
	switch strings.ToLower(name) {
	case "hex":
		b, err := hex.DecodeString(withoutSpace(s))
		if err != nil {
			return wire.Null, wire.NewError(wire.CodeInvalidParameter, "invalid hexadecimal digit or odd number of digits")
		}
		return wire.BytesValue(b), nil
	case "base64":
		b, err := base64.StdEncoding.DecodeString(withoutSpace(s))
		if err != nil {
			return wire.Null, wire.NewError(wire.CodeInvalidParameter, "invalid base64 sequence")
		}
		return wire.BytesValue(b), nil
	case "escape":
		return parseBytes(strings.Replace(s, `\x`, `\\x`, 1))
	}
	return wire.Null, errEncoding(name)
}

func withoutSpace(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsSpace(r) {
			return -1
		}
		return r
	}, s)
}

// quoteLiteral writes text as a literal of SQL.
func quoteLiteral(s string) string {
	quoted := "'" + strings.ReplaceAll(s, "'", "''") + "'"
	if strings.Contains(s, `\`) {
		return "E" + strings.ReplaceAll(quoted, `\`, `\\`)
	}
	return quoted
}

// reserved are the words that PostgreSQL takes for a name in quotes only.
var reserved = func() map[string]bool {
	m := map[string]bool{}
	for _, w := range strings.Fields(`all analyse analyze and any array as asc asymmetric authorization between bigint binary
		bit boolean both case cast char character check coalesce collate collation column concurrently constraint create cross
		current_catalog current_date current_role current_schema current_time current_timestamp current_user dec decimal
		default deferrable desc distinct do else end except exists extract false fetch float for foreign freeze from full grant
		greatest group grouping having ilike in initially inner inout int integer intersect interval into is isnull join
		lateral leading least left like limit localtime localtimestamp national natural nchar none normalize not notnull null
		nullif numeric offset on only or order out outer overlaps overlay placing position precision primary real references
		returning right row select session_user setof similar smallint some substring symmetric system_user table tablesample
		then time timestamp to trailing treat trim true union unique user using values varchar variadic verbose when where
		window with xmlattributes`) {
		m[w] = true
	}
	return m
}()

func quoteIdent(s string) string {
	plain := s != "" && !reserved[s] && (s[0] < '0' || s[0] > '9')
	for i := 0; i < len(s) && plain; i++ {
		c := s[i]
		plain = c >= 'a' && c <= 'z' || c >= '0' && c <= '9' || c == '_'
	}
	if plain {
		return s
	}
	return `"` + strings.ReplaceAll(s, `"`, `""`) + `"`
}

// maxFormatArgs is how many values format takes beside its text.
const maxFormatArgs = 20

// bindFormat is format(text, value ...). Each value goes in as its text.
func bindFormat(_ *binder, name string, args []Node) (Node, error) {
	if err := needArgs(name, args, 1); err != nil {
		return nil, err
	}
	if len(args) > maxFormatArgs+1 {
		return nil, wire.NewError(wire.CodeUnsupported, "format with more than ", strconv.Itoa(maxFormatArgs), " values is not supported")
	}
	texts := make([]Node, len(args))
	for i, a := range args {
		var err error
		if i == 0 {
			texts[i], err = convert(a, typeOf(wire.Text), implicit)
		} else {
			texts[i], err = concatPart(a)
		}
		if err != nil {
			return nil, err
		}
	}
	return newCall(formats[len(args)-1], texts)
}

// formats are format with 0, 1, ... values.
var formats = makeFormats()

func makeFormats() []*function {
	var list []*function
	kinds := []wire.Kind{wire.Text}
	for range maxFormatArgs + 1 {
		list = append(list, &function{name: "format", args: kinds[:len(kinds):len(kinds)], result: wire.Text, nulls: true, eval: formatText, size: formatSize})
		kinds = append(kinds, wire.Text)
	}
	return list
}

// formatSize is how long the text of format is at most: each of its places takes
// a value or its width.
func formatSize(a []wire.Value) int {
	longest := 0
	for _, v := range a[1:] {
		longest = max(longest, 2*len(v.Raw()))
	}
	size := len(a[0].Raw())
	for s := a[0].Text(); ; {
		_, after, ok := strings.Cut(s, "%")
		if !ok || size > maxText {
			return size
		}
		number := strings.TrimLeft(after, "0123456789$-")
		digits := after[:len(after)-len(number)]
		width, err := strconv.Atoi(digits[strings.LastIndexAny(digits, "$-")+1:])
		if err != nil {
			width = 0
		}
		size += longest + min(width, 2*maxText)
		s = number
	}
}

// formatText replaces %s, %I, %L, %%, with a place 1$, a minus and a width.
func formatText(a []wire.Value) (wire.Value, error) {
	if a[0].IsNull() {
		return wire.Null, nil
	}
	bad := func(why string) (wire.Value, error) {
		return wire.Null, wire.NewError(wire.CodeInvalidParameter, why)
	}
	s, next := a[0].Text(), 1
	var out strings.Builder
	for {
		before, after, ok := strings.Cut(s, "%")
		out.WriteString(before)
		if !ok || out.Len() > maxText {
			return bounded(out.String())
		}
		if strings.HasPrefix(after, "%") {
			out.WriteByte('%')
			s = after[1:]
			continue
		}
		if n := strings.TrimLeft(after, "0123456789"); strings.HasPrefix(n, "$") {
			next, _ = strconv.Atoi(after[:len(after)-len(n)])
			after = n[1:]
			if next < 1 {
				return bad("format specifies argument 0, but arguments are numbered from 1")
			}
		}
		left := strings.HasPrefix(after, "-")
		after = strings.TrimPrefix(after, "-")
		rest := strings.TrimLeft(after, "0123456789")
		width, _ := strconv.Atoi(after[:len(after)-len(rest)])
		if rest == "" {
			return bad("unterminated format() type specifier")
		}
		if next >= len(a) {
			return bad("too few arguments for format()")
		}
		v, part := a[next], ""
		next++
		switch rest[0] {
		case 's':
			part = v.Text()
		case 'I':
			if v.IsNull() {
				return wire.Null, wire.NewError(wire.CodeNotNullViolation, "null values cannot be formatted as an SQL identifier")
			}
			part = quoteIdent(v.Text())
		case 'L':
			part = "NULL"
			if !v.IsNull() {
				part = quoteLiteral(v.Text())
			}
		default:
			return bad(`unrecognized format() type specifier "` + cut(rest[:1]) + `"`)
		}
		if width > maxText {
			return wire.Null, errTextTooLong()
		}
		if pad := width - utf8.RuneCountInString(part); pad > 0 {
			if left {
				part += strings.Repeat(" ", pad)
			} else {
				part = strings.Repeat(" ", pad) + part
			}
		}
		out.WriteString(part)
		s = rest[1:]
	}
}

// bindConcatWS joins the text of the arguments that are not NULL: a separator
// goes before each of them, and the first is taken off.
func bindConcatWS(_ *binder, name string, args []Node) (Node, error) {
	if err := needArgs(name, args, 2); err != nil {
		return nil, err
	}
	text := typeOf(wire.Text)
	sep, err := convert(args[0], text, implicit)
	if err != nil {
		return nil, err
	}
	refs, wrap := once(sep)
	sep = refs[0]
	empty := &constant{wire.TextValue(""), text}
	parts := make([]Node, len(args)-1)
	for i, a := range args[1:] {
		n, err := concatPart(a)
		if err != nil {
			return nil, err
		}
		if n, err = newCall(concatText, []Node{sep, n}); err != nil {
			return nil, err
		}
		parts[i] = &coalesce{[]Node{n, empty}, text}
	}
	all, err := joinAll(parts)
	if err != nil {
		return nil, err
	}
	length, _ := choose(functions["length"], []wire.Kind{wire.Text})
	n, err := newCall(length, []Node{sep})
	if err != nil {
		return nil, err
	}
	plus, _ := choose(operators["+"], []wire.Kind{wire.Int, wire.Int})
	if n, err = newCall(plus, []Node{n, intConst(1)}); err != nil {
		return nil, err
	}
	sub, _ := choose(functions["substring"], []wire.Kind{wire.Text, wire.Int})
	if n, err = newCall(sub, []Node{all, n}); err != nil {
		return nil, err
	}
	return wrap(n, noNative), nil
}

// bindNumNulls is num_nulls and num_nonnulls.
func bindNumNulls(_ *binder, name string, args []Node) (Node, error) {
	if err := needArgs(name, args, 1); err != nil {
		return nil, err
	}
	plus, _ := choose(operators["+"], []wire.Kind{wire.Int, wire.Int})
	parts := make([]Node, len(args))
	for i, a := range args {
		a, err := settle(a)
		if err != nil {
			return nil, err
		}
		parts[i] = &choice{conds: []Node{&is{a, name == "num_nonnulls", "NULL"}}, thens: []Node{intConst(1)}, other: intConst(0), t: typeOf(wire.Int)}
	}
	return halved(plus, parts)
}
