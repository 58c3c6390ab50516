package expr

import (
	"regexp"
	"strings"
	"sync"
	"unicode/utf8"

	"github.com/kalamdb/kalam-go/wire"
)

// Regular expressions are PostgreSQL's as far as RE2 goes: linear time, so no
// back references and no looking around.

// maxRegexes bounds the cache of compiled expressions; when it is full it
// starts anew.
const maxRegexes = 256

var regexes = struct {
	sync.Mutex // guards m
	m          map[string]*regexp.Regexp
}{m: map[string]*regexp.Regexp{}}

// compileRegex compiles a pattern with PostgreSQL's flags; global reports g.
func compileRegex(pattern, flags string) (re *regexp.Regexp, global bool, err error) {
	key := flags + "/" + pattern
	global = strings.Contains(flags, "g")
	regexes.Lock()
	re = regexes.m[key]
	regexes.Unlock()
	if re != nil {
		return re, global, nil
	}
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
			return nil, false, wire.NewError(wire.CodeInvalidParameter, `invalid regular expression option: "`, string(f), `"`)
		}
	}
	text, lazy := regexp.QuoteMeta(pattern), false
	if !literal {
		if text, lazy, err = translateRegex(pattern); err != nil {
			return nil, false, err
		}
	}
	if opts != "" {
		text = "(?" + opts + ")" + text
	}
	re, compileErr := regexp.Compile(text)
	if compileErr != nil {
		return nil, false, wire.NewError(wire.CodeInvalidParameter, "invalid regular expression: ", cut(pattern))
	}
	if !lazy {
		re.Longest()
	}
	regexes.Lock()
	if len(regexes.m) >= maxRegexes {
		clear(regexes.m)
	}
	regexes.m[key] = re
	regexes.Unlock()
	return re, global, nil
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
			eval: func(a []wire.Value) (wire.Value, error) {
				re, _, err := compileRegex(a[1].Text(), op.flags)
				if err != nil {
					return wire.Null, err
				}
				return wire.BoolValue(re.MatchString(a[0].Text()) != op.not), nil
			}})
	}
	return list
}

var regexFunctions = makeRegexFunctions()

func makeRegexFunctions() []*function {
	var list []*function
	// add makes the overloads with the first args, and with one more each.
	add := func(name string, result wire.Kind, least int, eval func(a []wire.Value) (wire.Value, error), args ...wire.Kind) {
		for n := least; n <= len(args); n++ {
			list = append(list, &function{name: name, args: args[:n:n], result: result, eval: eval})
		}
	}
	text, number := wire.Text, wire.Int
	flags := func(a []wire.Value, i int) string {
		if i < len(a) {
			return a[i].Text()
		}
		return ""
	}
	add("regexp_like", wire.Boolean, 2, func(a []wire.Value) (wire.Value, error) {
		re, _, err := noGlobal(a[1].Text(), flags(a, 2))
		if err != nil {
			return wire.Null, err
		}
		return wire.BoolValue(re.MatchString(a[0].Text())), nil
	}, text, text, text)
	add("regexp_replace", text, 3, func(a []wire.Value) (wire.Value, error) {
		re, global, err := compileRegex(a[1].Text(), flags(a, 3))
		if err != nil {
			return wire.Null, err
		}
		return bounded(replaceRegex(re, a[0].Text(), a[2].Text(), global))
	}, text, text, text, text)
	add("regexp_count", number, 2, func(a []wire.Value) (wire.Value, error) {
		found, err := findRegex(a, flags(a, 3), 1)
		return wire.IntValue(int64(len(found))), err
	}, text, text, number, text)
	add("regexp_substr", text, 2, func(a []wire.Value) (wire.Value, error) {
		s, group := a[0].Text(), int64(0)
		if len(a) == 6 {
			group = a[5].Int()
		}
		m, err := nthMatch(a, flags(a, 4), 3)
		if err != nil || m == nil || group < 0 || 2*group+1 >= int64(len(m)) || m[2*group] < 0 {
			return wire.Null, err
		}
		return wire.TextValue(s[m[2*group]:m[2*group+1]]), nil
	}, text, text, number, number, text, number)
	add("regexp_instr", number, 2, func(a []wire.Value) (wire.Value, error) {
		m, err := nthMatch(a, "", 3)
		if err != nil || m == nil {
			return wire.IntValue(0), err
		}
		return wire.IntValue(int64(utf8.RuneCountInString(a[0].Text()[:m[0]]) + 1)), nil
	}, text, text, number, number)
	// substring(text from pattern) gives the first group, if there is one.
	add("substring", text, 2, func(a []wire.Value) (wire.Value, error) {
		re, _, err := compileRegex(a[1].Text(), "")
		if err != nil {
			return wire.Null, err
		}
		m := re.FindStringSubmatchIndex(a[0].Text())
		i := 0
		if len(m) > 2 {
			i = 2
		}
		if m == nil || m[i] < 0 {
			return wire.Null, nil
		}
		return wire.TextValue(a[0].Text()[m[i]:m[i+1]]), nil
	}, text, text)
	return list
}

func noGlobal(pattern, flags string) (*regexp.Regexp, bool, error) {
	if strings.Contains(flags, "g") {
		return nil, false, wire.NewError(wire.CodeInvalidParameter, `this function does not support the "global" option`)
	}
	return compileRegex(pattern, flags)
}

// findRegex gives the matches from the character a[2] on, at places in the
// whole text.
func findRegex(a []wire.Value, flags string, least int64) ([][]int, error) {
	re, _, err := noGlobal(a[1].Text(), flags)
	if err != nil {
		return nil, err
	}
	start := 0
	if len(a) > 2 {
		if a[2].Int() < least {
			return nil, wire.NewError(wire.CodeInvalidParameter, "start and N must be above zero")
		}
		head, _ := splitRunes(a[0].Text(), a[2].Int()-1)
		start = len(head)
	}
	found := re.FindAllStringSubmatchIndex(a[0].Text()[start:], -1)
	for _, m := range found {
		for i := range m {
			if m[i] >= 0 {
				m[i] += start
			}
		}
	}
	return found, nil
}

// nthMatch gives match number a[n], the first without one.
func nthMatch(a []wire.Value, flags string, n int) ([]int, error) {
	which := int64(1)
	if len(a) > n {
		which = a[n].Int()
	}
	if which < 1 {
		return nil, wire.NewError(wire.CodeInvalidParameter, "start and N must be above zero")
	}
	found, err := findRegex(a, flags, 1)
	if err != nil || which > int64(len(found)) {
		return nil, err
	}
	return found[which-1], nil
}

// replaceRegex replaces the first match or all; in the replacement \1 to \9
// stand for groups, \& for the match.
func replaceRegex(re *regexp.Regexp, s, with string, global bool) string {
	n := 1
	if global {
		n = -1
	}
	var b strings.Builder
	last := 0
	for _, m := range re.FindAllStringSubmatchIndex(s, n) {
		b.WriteString(s[last:m[0]])
		for i := 0; i < len(with); i++ {
			if with[i] != '\\' || i+1 == len(with) {
				b.WriteByte(with[i])
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
				b.WriteByte(c)
			default:
				b.WriteString(with[i-1 : i+1])
			}
			if group >= 0 && 2*group < len(m) && m[2*group] >= 0 {
				b.WriteString(s[m[2*group]:m[2*group+1]])
			}
		}
		last = m[1]
	}
	b.WriteString(s[last:])
	return b.String()
}
