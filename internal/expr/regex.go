package expr

import (
	"cmp"
	"regexp"
	"regexp/syntax"
	"slices"
	"strconv"
	"strings"
	"sync"
	"unicode/utf8"

	"github.com/kalamdb/kalam-go/internal/budget"
	"github.com/kalamdb/kalam-go/wire"
)

// Regular expressions are PostgreSQL's as far as RE2 goes: linear time, so no
// back references and no looking around.

const (
	// maxProgram is how many instructions a compiled expression has at most, and
	// maxPattern how many bytes its text.
	maxProgram = 10_000
	maxPattern = 16 << 10
	// maxRegexes bounds the weight of the compiled expressions that are kept; when
	// they are heavier, keeping starts anew.
	maxRegexes = 8 << 20
)

var regexes = struct {
	sync.Mutex // guards the rest
	m          map[string]*regex
	weight     int
}{m: map[string]*regex{}}

// compileRegex compiles a pattern with PostgreSQL's flags; global reports g.
func compileRegex(pattern, flags string) (re *regex, global bool, err error) {
	if len(pattern) > maxPattern || len(flags) > 32 {
		return nil, false, errPatternSize()
	}
	key := flags + "/" + pattern
	global = strings.Contains(flags, "g")
	regexes.Lock()
	re = regexes.m[key]
	regexes.Unlock()
	if re != nil {
		return re, global, nil
	}
	if re, err = newRegex(pattern, flags); err != nil {
		return nil, false, err
	}
	regexes.Lock()
	if regexes.weight += re.weight; regexes.weight > maxRegexes {
		clear(regexes.m)
		regexes.weight = re.weight
	}
	regexes.m[key] = re
	regexes.Unlock()
	return re, global, nil
}

func errPatternSize() *wire.Error {
	return wire.NewError(wire.CodeStatementTooLarge, "the regular expression is too large: it has more than ", strconv.Itoa(maxPattern),
		" bytes, or more than ", strconv.Itoa(maxProgram), " steps once its repetitions are written out")
}

func newRegex(pattern, flags string) (*regex, error) {
	opts, literal := "s", false
	for _, f := range flags {
		switch f {
		case 'g', 'c', 's', 't', 'e', 'b':
		case 'i':
			opts += "i"
		case 'n', 'm':
			opts = strings.ReplaceAll(opts, "s", "") + "m"
		case 'q':
			literal = true
		default:
			return nil, wire.NewError(wire.CodeInvalidParameter, `invalid regular expression option: "`, string(f), `"`)
		}
	}
	text, lazy := regexp.QuoteMeta(pattern), false
	if !literal {
		var err error
		if text, lazy, err = translateRegex(pattern); err != nil {
			return nil, err
		}
	}
	if opts != "" {
		text = "(?" + opts + ")" + text
	}
	if len(text) > 8*maxPattern {
		return nil, errPatternSize()
	}
	bad := wire.NewError(wire.CodeInvalidParameter, "invalid regular expression: ", cut(pattern))
	tree, err := syntax.Parse(text, syntax.Perl)
	if err != nil {
		return nil, bad
	}
	size, runes := programSize(tree)
	if size > maxProgram || runes > maxRegexes/16 {
		return nil, errPatternSize()
	}
	std, err := regexp.Compile(text)
	if err != nil {
		return nil, bad
	}
	prog, err := syntax.Compile(tree.Simplify())
	if err != nil {
		return nil, bad
	}
	re := &regex{std: std, prog: prog, longest: !lazy, groups: std.NumSubexp() + 1}
	if re.prefix, _ = prog.Prefix(); re.longest {
		std.Longest()
	}
	// Two programs, and the tables that the library makes for short texts.
	re.weight = len(pattern) + 4*40*len(prog.Inst) + 16*runes
	return re, nil
}

// programSize estimates how many instructions an expression compiles to, and how
// many characters they name.
func programSize(re *syntax.Regexp) (size, runes int) {
	for _, sub := range re.Sub {
		n, r := programSize(sub)
		size, runes = size+n, runes+r
	}
	switch re.Op {
	case syntax.OpLiteral:
		return size + len(re.Rune), runes + len(re.Rune)
	case syntax.OpCharClass:
		return size + 1, runes + len(re.Rune)
	case syntax.OpRepeat:
		times := max(re.Min+1, re.Max)
		return min(size*times, maxProgram) + times, runes
	}
	return size + 2, runes
}

// classEscapes are the classes of \w and the like, which cover all of Unicode.
var classEscapes = map[byte]string{
	'w': `\p{L}\p{Nd}\p{M}_`, 'd': `\p{Nd}`, 's': `\t-\r\x{85}\p{Z}`,
}

var namedClasses = strings.NewReplacer(
	"[:alpha:]", `\p{L}`, "[:alnum:]", `\p{L}\p{Nd}`, "[:digit:]", `\p{Nd}`, "[:space:]", `\t-\r\x{85}\p{Z}`,
	"[:upper:]", `\p{Lu}`, "[:lower:]", `\p{Ll}`, "[:punct:]", `!-/:-@\[-`+"`"+`{-~\p{P}\p{S}`)

func errRegex(what string) *wire.Error {
	return wire.NewError(wire.CodeUnsupported, "regular expressions with ", what, " are not supported")
}

// translateRegex writes a pattern for RE2; lazy reports a quantifier that takes
// as little as it can.
func translateRegex(p string) (out string, lazy bool, err error) {
	var b strings.Builder
	if rest, ok := strings.CutPrefix(p, "***="); ok {
		return regexp.QuoteMeta(rest), false, nil
	}
	p = strings.TrimPrefix(p, "***:")
	for i := 0; i < len(p); i++ {
		c := p[i]
		switch {
		case c == '\\' && i+1 < len(p):
			i++
			switch e := p[i]; {
			case classEscapes[e] != "":
				b.WriteString("[" + classEscapes[e] + "]")
			case classEscapes[e|0x20] != "" && e < 'a':
				b.WriteString("[^" + classEscapes[e|0x20] + "]")
			case e == 'y', e == 'm', e == 'M':
				b.WriteString(`\b`)
			case e == 'Y':
				b.WriteString(`\B`)
			case e == 'Z':
				b.WriteString(`\z`)
			case e >= '1' && e <= '9':
				return "", false, errRegex("back references")
			default:
				b.WriteString(p[i-1 : i+1])
			}
		case c == '[':
			if strings.HasPrefix(p[i:], "[[:<:]]") || strings.HasPrefix(p[i:], "[[:>:]]") {
				b.WriteString(`\b`)
				i += len("[[:<:]]") - 1
				continue
			}
			class, n := bracket(p[i:])
			if n == 0 {
				return "", false, wire.NewError(wire.CodeInvalidParameter, "invalid regular expression: brackets [] not balanced")
			}
			b.WriteString(class)
			i += n - 1
		case c == '(' && strings.HasPrefix(p[i:], "(?="), c == '(' && strings.HasPrefix(p[i:], "(?!"), c == '(' && strings.HasPrefix(p[i:], "(?<"):
			return "", false, errRegex("lookahead or lookbehind")
		default:
			if c == '?' && i > 0 && strings.IndexByte("*+?}", p[i-1]) >= 0 {
				lazy = true
			}
			b.WriteByte(c)
		}
	}
	return b.String(), lazy, nil
}

// bracket takes a bracket expression; n is its length, 0 if it does not end.
func bracket(p string) (class string, n int) {
	i := 1
	if i < len(p) && p[i] == '^' {
		i++
	}
	if i < len(p) && p[i] == ']' {
		i++
	}
	for i < len(p) && p[i] != ']' {
		switch {
		case strings.HasPrefix(p[i:], "[:"):
			end := strings.Index(p[i:], ":]")
			if end < 0 {
				return "", 0
			}
			i += end + 1
		case p[i] == '\\':
			i++
		}
		i++
	}
	if i >= len(p) {
		return "", 0
	}
	body := p[1:i]
	negated := strings.HasPrefix(body, "^")
	body = strings.TrimPrefix(body, "^")
	if strings.HasPrefix(body, "]") {
		body = `\` + body
	}
	var b strings.Builder
	b.WriteByte('[')
	if negated {
		b.WriteByte('^')
	}
	body = namedClasses.Replace(body)
	for j := 0; j < len(body); j++ {
		switch {
		case body[j] == '\\' && j+1 < len(body):
			j++
			if s := classEscapes[body[j]]; s != "" {
				b.WriteString(s)
			} else {
				b.WriteString(body[j-1 : j+1])
			}
		case body[j] == '[' && !strings.HasPrefix(body[j:], "[:"):
			b.WriteString(`\[`)
		default:
			b.WriteByte(body[j])
		}
	}
	b.WriteByte(']')
	return b.String(), i + 1
}

// regexOperators are ~ and its kin.
var regexOperators = makeRegexOperators()

func makeRegexOperators() []*function {
	var list []*function
	for _, op := range []struct {
		name, flags string
		not         bool
	}{{"~", "", false}, {"~*", "i", false}, {"!~", "", true}, {"!~*", "i", true}} {
		list = append(list, &function{name: op.name, args: []wire.Kind{wire.Text, wire.Text}, result: wire.Boolean,
			long: func(b *budget.Budget, a []wire.Value) (wire.Value, error) {
				re, _, err := compileRegex(a[1].Text(), op.flags)
				if err != nil {
					return wire.Null, err
				}
				ok, err := re.matches(b, a[0].Text())
				return wire.BoolValue(ok != op.not), err
			}})
	}
	return list
}

var regexFunctions = makeRegexFunctions()

func makeRegexFunctions() []*function {
	var list []*function
	// add makes the overloads with the first args, and with one more each.
	add := func(name string, result wire.Kind, least int, eval func(b *budget.Budget, a []wire.Value) (wire.Value, error), args ...wire.Kind) {
		for n := least; n <= len(args); n++ {
			list = append(list, &function{name: name, args: args[:n:n], result: result, long: eval})
		}
	}
	text, number := wire.Text, wire.Int
	flags := func(a []wire.Value, i int) string {
		if i < len(a) {
			return a[i].Text()
		}
		return ""
	}
	add("regexp_like", wire.Boolean, 2, func(b *budget.Budget, a []wire.Value) (wire.Value, error) {
		re, _, err := noGlobal(a[1].Text(), flags(a, 2))
		if err != nil {
			return wire.Null, err
		}
		ok, err := re.matches(b, a[0].Text())
		return wire.BoolValue(ok), err
	}, text, text, text)
	add("regexp_replace", text, 3, func(b *budget.Budget, a []wire.Value) (wire.Value, error) {
		re, global, err := compileRegex(a[1].Text(), flags(a, 3))
		if err != nil {
			return wire.Null, err
		}
		return replaceRegex(b, re, a[0].Text(), a[2].Text(), global)
	}, text, text, text, text)
	add("regexp_count", number, 2, func(b *budget.Budget, a []wire.Value) (wire.Value, error) {
		n := int64(0)
		err := eachMatch(b, a, flags(a, 3), func([]int) bool {
			n++
			return true
		})
		return wire.IntValue(n), err
	}, text, text, number, text)
	add("regexp_substr", text, 2, func(b *budget.Budget, a []wire.Value) (wire.Value, error) {
		s, group := a[0].Text(), int64(0)
		if len(a) == 6 {
			group = a[5].Int()
		}
		m, err := nthMatch(b, a, flags(a, 4), 3)
		if err != nil || m == nil || group < 0 || 2*group+1 >= int64(len(m)) || m[2*group] < 0 {
			return wire.Null, err
		}
		return wire.TextValue(s[m[2*group]:m[2*group+1]]), nil
	}, text, text, number, number, text, number)
	add("regexp_instr", number, 2, func(b *budget.Budget, a []wire.Value) (wire.Value, error) {
		m, err := nthMatch(b, a, "", 3)
		if err != nil || m == nil {
			return wire.IntValue(0), err
		}
		return wire.IntValue(int64(utf8.RuneCountInString(a[0].Text()[:m[0]]) + 1)), nil
	}, text, text, number, number)
	// substring(text from pattern) gives the first group, if there is one.
	add("substring", text, 2, func(b *budget.Budget, a []wire.Value) (wire.Value, error) {
		re, _, err := compileRegex(a[1].Text(), "")
		if err != nil {
			return wire.Null, err
		}
		m, err := re.first(b, a[0].Text())
		i := 0
		if len(m) > 2 {
			i = 2
		}
		if err != nil || m == nil || m[i] < 0 {
			return wire.Null, err
		}
		return wire.TextValue(a[0].Text()[m[i]:m[i+1]]), nil
	}, text, text)
	return list
}

func noGlobal(pattern, flags string) (*regex, bool, error) {
	if strings.Contains(flags, "g") {
		return nil, false, wire.NewError(wire.CodeInvalidParameter, `this function does not support the "global" option`)
	}
	return compileRegex(pattern, flags)
}

// eachMatch calls fn with the places, in the whole text, of each match from the
// character a[2] on, until it returns false.
func eachMatch(b *budget.Budget, a []wire.Value, flags string, fn func(m []int) bool) error {
	re, _, err := noGlobal(a[1].Text(), flags)
	if err != nil {
		return err
	}
	start := 0
	if len(a) > 2 {
		if a[2].Int() < 1 {
			return wire.NewError(wire.CodeInvalidParameter, "start and N must be above zero")
		}
		head, _ := splitRunes(a[0].Text(), a[2].Int()-1)
		start = len(head)
	}
	return re.each(b, a[0].Text()[start:], func(m []int) bool {
		for i := range m {
			if m[i] >= 0 {
				m[i] += start
			}
		}
		more := fn(m)
		for i := range m {
			if m[i] >= 0 {
				m[i] -= start
			}
		}
		return more
	})
}

// nthMatch gives match number a[n], the first without one.
func nthMatch(b *budget.Budget, a []wire.Value, flags string, n int) (found []int, err error) {
	which := int64(1)
	if len(a) > n {
		which = a[n].Int()
	}
	if which < 1 {
		return nil, wire.NewError(wire.CodeInvalidParameter, "start and N must be above zero")
	}
	err = eachMatch(b, a, flags, func(m []int) bool {
		if which--; which == 0 {
			found = slices.Clone(m)
		}
		return which > 0
	})
	return found, err
}

// replaceRegex replaces the first match or all; in the replacement \1 to \9
// stand for groups, \& for the match.
func replaceRegex(b *budget.Budget, re *regex, s, with string, global bool) (wire.Value, error) {
	var out strings.Builder
	last, charged := 0, 0
	var full error
	err := re.each(b, s, func(m []int) bool {
		out.WriteString(s[last:m[0]])
		last = m[1]
		more := expandMatch(&out, s, with, m)
		if n := out.Cap(); n > 2*charged && n > smallBytes {
			full = b.Charge(n - charged)
			charged = n
		}
		return more && global && full == nil
	})
	if err = cmp.Or(full, err); err != nil {
		return wire.Null, err
	}
	out.WriteString(s[last:])
	return bounded(out.String())
}

// expandMatch writes what replaces a match. It reports whether the text may grow
// further.
func expandMatch(out *strings.Builder, s, with string, m []int) bool {
	for i := 0; i < len(with); i++ {
		if out.Len() > maxText {
			return false
		}
		if with[i] != '\\' || i+1 == len(with) {
			out.WriteByte(with[i])
			continue
		}
		i++
		group := -1
		switch c := with[i]; {
		case c == '&':
			group = 0
		case c >= '1' && c <= '9':
			group = int(c - '0')
		case c == '\\':
			out.WriteByte(c)
		default:
			out.WriteString(with[i-1 : i+1])
		}
		if group >= 0 && 2*group < len(m) && m[2*group] >= 0 {
			out.WriteString(s[m[2*group]:m[2*group+1]])
		}
	}
	return out.Len() <= maxText
}
