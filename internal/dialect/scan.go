package dialect

import (
	"strconv"
	"strings"
	"unicode/utf8"
)

type kind uint8

const (
	tokEOF    kind = iota
	tokWord        // an unquoted name or a keyword
	tokQuoted      // "name" or `name`
	tokString      // '..', E'..', $$..$$
	tokBytes       // X'..'
	tokNumber
	tokParam // $1
	tokOp    // operators and punctuation
	tokBad   // what is no token, up to the end; of a lax scanner only
)

// token is a piece of the text. Its value is made on demand, so that scanning
// allocates for folded names only.
type token struct {
	kind       kind
	class      class // of a word
	start, end int
	word       string // of a word: folded; of an operator: as written
}

// scanner cuts a text into tokens.
type scanner struct {
	sql string
	off int
	// lax makes errors impossible: from where the text is not SQL it is one
	// tokBad.
	lax bool
}

// fail ends the parse; Parse and ParseExpr catch it.
func (s *scanner) fail(pos int, parts ...string) {
	panic(newError(s.sql, Pos(pos), strings.Join(parts, "")))
}

// What a byte can be in a text.
const (
	space  = 1 << iota
	digit  // 0-9
	hex    // 0-9, a-f, A-F
	letter // of an unquoted name: a-z, A-Z, _
	upper
)

var charClass = func() (t [256]uint8) {
	for _, c := range " \n\t\r\f\v" {
		t[c] = space
	}
	for c := '0'; c <= '9'; c++ {
		t[c] = digit | hex
	}
	for c := 'a'; c <= 'z'; c++ {
		t[c] = letter
		t[c-'a'+'A'] = letter | upper
	}
	for c := 'a'; c <= 'f'; c++ {
		t[c] |= hex
		t[c-'a'+'A'] |= hex
	}
	t['_'] = letter
	return t
}()

func isSpace(c byte) bool  { return charClass[c]&space != 0 }
func isDigit(c byte) bool  { return charClass[c]&digit != 0 }
func isHex(c byte) bool    { return charClass[c]&hex != 0 }
func isLetter(c byte) bool { return charClass[c]&letter != 0 }

// byteAt is the byte at an offset, 0 behind the end.
func (s *scanner) byteAt(i int) byte {
	if i < len(s.sql) {
		return s.sql[i]
	}
	return 0
}

// next is the next token.
func (s *scanner) next() token {
	s.skip()
	start := s.off
	if start >= len(s.sql) {
		return token{kind: tokEOF, start: len(s.sql), end: len(s.sql)}
	}
	c := s.sql[start]
	switch {
	case isLetter(c):
		return s.wordOrPrefixed(start)
	case isDigit(c), c == '.' && isDigit(s.byteAt(start+1)):
		return s.number(start)
	case c == '\'':
		return s.quote(tokString, start, start, '\'', false)
	case c == '"', c == '`':
		return s.quote(tokQuoted, start, start, c, false)
	case c == '$':
		return s.dollar(start)
	}
	if n := operatorLen(s.sql[start:]); n > 0 {
		s.off = start + n
		return token{kind: tokOp, start: start, end: s.off, word: s.sql[start:s.off]}
	}
	r, _ := utf8.DecodeRuneInString(s.sql[start:])
	if r >= utf8.RuneSelf {
		return s.bad(start, "unexpected character ", strconv.QuoteRune(r), "; a name with letters outside ASCII must be quoted")
	}
	return s.bad(start, "unexpected character ", strconv.QuoteRune(r))
}

// bad fails, or gives the rest of the text as a tokBad.
func (s *scanner) bad(start int, parts ...string) token {
	if !s.lax {
		s.fail(start, parts...)
	}
	s.off = len(s.sql)
	return token{kind: tokBad, start: start, end: s.off}
}

// skip passes blanks and comments.
func (s *scanner) skip() {
	for s.off < len(s.sql) {
		c := s.sql[s.off]
		switch {
		case isSpace(c):
			s.off++
		case c == '-' && s.byteAt(s.off+1) == '-':
			end := strings.IndexByte(s.sql[s.off:], '\n')
			if end < 0 {
				s.off = len(s.sql)
				return
			}
			s.off += end + 1
		case c == '/' && s.byteAt(s.off+1) == '*':
			s.comment()
		default:
			return
		}
	}
}

// comment passes a comment, which may hold others.
func (s *scanner) comment() {
	start, depth := s.off, 0
	for i := start; i < len(s.sql); i++ {
		switch {
		case s.sql[i] == '/' && s.byteAt(i+1) == '*':
			depth++
			i++
		case s.sql[i] == '*' && s.byteAt(i+1) == '/':
			depth--
			i++
			if depth == 0 {
				s.off = i + 1
				return
			}
		}
	}
	s.off = len(s.sql)
	if !s.lax {
		s.fail(start, "the comment that begins here is not closed")
	}
}

func (s *scanner) wordOrPrefixed(start int) token {
	c := s.sql[start]
	if s.byteAt(start+1) == '\'' {
		switch c {
		case 'e', 'E':
			return s.quote(tokString, start, start+1, '\'', true)
		case 'x', 'X':
			return s.quote(tokBytes, start, start+1, '\'', false)
		}
	}
	end, kinds, hash := start, uint8(0), uint32(0)
	for end < len(s.sql) && charClass[s.sql[end]]&(letter|digit) != 0 {
		kinds |= charClass[s.sql[end]]
		hash = hashByte(hash, s.sql[end])
		end++
	}
	if end < len(s.sql) && s.sql[end] >= utf8.RuneSelf {
		return s.bad(end, "a name with letters outside ASCII must be quoted")
	}
	s.off = end
	t := token{kind: tokWord, start: start, end: end, word: s.sql[start:end]}
	if w, ok := words.find(t.word, hash); ok {
		t.word, t.class = w.text, w.class
	} else if kinds&upper != 0 {
		t.word = strings.ToLower(t.word)
	}
	return t
}

func lower(c byte) byte {
	if 'A' <= c && c <= 'Z' {
		return c + 'a' - 'A'
	}
	return c
}

// quote passes a text in quotes that begins at open; inside, a doubled quote
// stands for one.
func (s *scanner) quote(k kind, start, open int, q byte, escapes bool) token {
	for i := open + 1; i < len(s.sql); i++ {
		switch c := s.sql[i]; {
		case c == '\\' && escapes:
			i++
		case c != q:
		case s.byteAt(i+1) == q:
			i++
		default:
			s.off = i + 1
			if !s.lax && k == tokQuoted && i == open+1 {
				s.fail(start, "a quoted name cannot be empty")
			}
			return token{kind: k, start: start, end: s.off}
		}
	}
	what := "text"
	if k == tokQuoted {
		what = "name"
	}
	return s.bad(start, "the quoted ", what, " that begins here is not closed")
}

// dollar passes $1, $$..$$ or $tag$..$tag$.
func (s *scanner) dollar(start int) token {
	i := start + 1
	if isDigit(s.byteAt(i)) {
		for isDigit(s.byteAt(i)) {
			i++
		}
		return s.numeric(tokParam, start, i)
	}
	for isLetter(s.byteAt(i)) || i > start+1 && isDigit(s.byteAt(i)) {
		i++
	}
	if s.byteAt(i) != '$' {
		return s.bad(start, `expected a parameter such as $1 or a text in $$ after "$"`)
	}
	tag := s.sql[start : i+1]
	end := strings.Index(s.sql[i+1:], tag)
	if end < 0 {
		return s.bad(start, "the text that begins with ", clip(tag), " is not closed")
	}
	s.off = i + 1 + end + len(tag)
	return token{kind: tokString, start: start, end: s.off}
}

// number passes 1, 1.5, .5, 1e10, 1_000, 0x1F, 0o17 or 0b11.
func (s *scanner) number(start int) token {
	i := start
	digits := func(ok func(byte) bool) {
		for ok(s.byteAt(i)) || s.byteAt(i) == '_' && i > start && s.sql[i-1] != '_' && ok(s.byteAt(i+1)) {
			i++
		}
	}
	if base := lower(s.byteAt(start + 1)); s.sql[start] == '0' && (base == 'x' || base == 'o' || base == 'b') {
		i += 2
		switch base {
		case 'x':
			digits(isHex)
		case 'o':
			digits(func(c byte) bool { return '0' <= c && c <= '7' })
		default:
			digits(func(c byte) bool { return c == '0' || c == '1' })
		}
		if i == start+2 {
			return s.bad(start, "the number ", s.sql[start:i], " has no digits")
		}
	} else {
		digits(isDigit)
		if s.byteAt(i) == '.' {
			i++
			if isDigit(s.byteAt(i)) {
				digits(isDigit)
			}
		}
		if lower(s.byteAt(i)) == 'e' {
			j := i + 1
			if c := s.byteAt(j); c == '+' || c == '-' {
				j++
			}
			if isDigit(s.byteAt(j)) {
				i = j
				digits(isDigit)
			}
		}
	}
	return s.numeric(tokNumber, start, i)
}

// numeric ends a number or parameter and refuses letters right behind it:
// 12abc.
func (s *scanner) numeric(k kind, start, end int) token {
	c := s.byteAt(end)
	if isLetter(c) || isDigit(c) || c >= utf8.RuneSelf {
		return s.bad(start, "unexpected characters right behind a number")
	}
	s.off = end
	return token{kind: k, start: start, end: end}
}

// operatorLen is the length of the operator that a text begins with, 0 for none.
func operatorLen(sql string) int {
	for n := min(3, len(sql)); n >= 2; n-- {
		switch sql[:n] {
		case "->>", "#>>", "!~*",
			"->", "#>", "?|", "?&", "@>", "<@", "~*", "!~", "!=", "<>", "<=", ">=", "<<", ">>", "::", "||":
			return n
		}
	}
	if strings.IndexByte("+-*/%^=<>?~&|#(),;.[]", sql[0]) >= 0 {
		return 1
	}
	return 0
}
