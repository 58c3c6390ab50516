package expr

import (
	"strings"
	"unicode/utf8"

	"github.com/kalamdb/kalam-go/internal/budget"
	"github.com/kalamdb/kalam-go/wire"
)

var likeFunctions = makeLike()

func makeLike() []*function {
	var list []*function
	for _, name := range []string{"like", "ilike"} {
		fold := name == "ilike"
		text := []wire.Kind{wire.Text, wire.Text, wire.Text}
		list = append(list,
			&function{name: name, args: text[:2], result: wire.Boolean, long: func(b *budget.Budget, a []wire.Value) (wire.Value, error) {
				return like(b, a[0].Text(), a[1].Text(), `\`, fold)
			}},
			&function{name: name, args: text, result: wire.Boolean, long: func(b *budget.Budget, a []wire.Value) (wire.Value, error) {
				return like(b, a[0].Text(), a[1].Text(), a[2].Text(), fold)
			}})
	}
	return list
}

func likeFunction(insensitive, escape bool) *function {
	i := 0
	if insensitive {
		i = 2
	}
	if escape {
		i++
	}
	return likeFunctions[i]
}

func like(b *budget.Budget, s, pattern, escape string, fold bool) (wire.Value, error) {
	if utf8.RuneCountInString(escape) > 1 {
		return wire.Null, wire.NewError(wire.CodeInvalidText, "invalid escape string: must be empty or one character")
	}
	if fold {
		s, pattern, escape = strings.ToLower(s), strings.ToLower(pattern), strings.ToLower(escape)
	}
	ok, err := matchLike(b, s, pattern, escape)
	if err != nil {
		return wire.Null, err
	}
	return wire.BoolValue(ok), nil
}

// matchLike goes back only to the last %, since what an earlier one took can
// always be left to a later one. So it takes at most len(s) * len(p) steps.
func matchLike(b *budget.Budget, s, p, escape string) (bool, error) {
	star, retry := -1, 0 // in p after the last %, in s where to try it next
	i, j := 0, 0
	for {
		if j < len(p) {
			rest, n := p[j:], 0
			switch {
			case escape != "" && strings.HasPrefix(rest, escape):
				j0 := j + len(escape)
				if j0 >= len(p) {
					if i == len(s) {
						return false, nil
					}
					return false, wire.NewError(wire.CodeInvalidText, "LIKE pattern must not end with escape character")
				}
				_, n = utf8.DecodeRuneInString(p[j0:])
				if strings.HasPrefix(s[i:], p[j0:j0+n]) {
					i, j = i+n, j0+n
					continue
				}
			case rest[0] == '%':
				j++
				star, retry = j, i
				continue
			case rest[0] == '_':
				if i < len(s) {
					_, n = utf8.DecodeRuneInString(s[i:])
					i, j = i+n, j+1
					continue
				}
			case i < len(s) && s[i] == rest[0]:
				i, j = i+1, j+1
				continue
			}
		} else if i == len(s) {
			return true, nil
		}
		if star < 0 || retry >= len(s) {
			return false, nil
		}
		if err := b.Spend(1 + i - retry); err != nil {
			return false, err
		}
		_, n := utf8.DecodeRuneInString(s[retry:])
		retry += n
		i, j = retry, star
	}
}

// likePrefix gives the text that every match of a pattern starts with; whole
// says that the pattern asks for nothing else, exact that it has no wildcard.
func likePrefix(pattern string) (prefix string, whole, exact bool) {
	i := strings.IndexAny(pattern, `%_\`)
	if i < 0 {
		return pattern, true, true
	}
	return pattern[:i], pattern[i:] == "%", false
}

// afterPrefix is the least text that comes behind all texts with the prefix;
// ok is false if there is none.
func afterPrefix(prefix string) (string, bool) {
	r := []rune(prefix)
	for i := len(r) - 1; i >= 0; i-- {
		switch next := r[i] + 1; {
		case next > utf8.MaxRune:
			continue
		case next == 0xD800: // surrogates are no characters
			return string(r[:i]) + "\uE000", true
		default:
			return string(r[:i]) + string(next), true
		}
	}
	return "", false
}

// printRange writes a LIKE of a column with a constant pattern as the range of
// texts that it matches, which an index serves.
func (c *call) printRange(p *Printer) bool {
	if c.f != likeFunctions[0] && c.f.name != "starts_with" {
		return false
	}
	pattern, ok := c.args[1].(*constant)
	if _, bare := c.args[0].(*column); !ok || !bare || pattern.v.IsNull() {
		return false
	}
	prefix, whole, exact := pattern.v.Text(), true, false
	if c.f == likeFunctions[0] {
		prefix, whole, exact = likePrefix(prefix)
	}
	after, ok := afterPrefix(prefix)
	if !ok && !exact {
		return false
	}
	text := func(op, s string) {
		p.Node(c.args[0])
		p.Raw(op)
		p.value(wire.TextValue(s), typeOf(wire.Text), asIs)
	}
	p.Raw("(")
	if exact {
		text(" = ", prefix)
		p.Raw(")")
		return true
	}
	text(" >= ", prefix)
	p.Raw(" AND ")
	text(" < ", after)
	if !whole {
		p.Raw(" AND ")
		c.printCall(p)
	}
	p.Raw(")")
	return true
}
