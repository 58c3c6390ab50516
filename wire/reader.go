package wire

import (
	"math"
	"strconv"
	"unicode/utf8"
)

// Limits of the decoders. What a server wants to allow may be less.
const (
	maxDepth      = 64     // nested arrays and objects
	maxParams     = 65_535 // parameters of a statement, as in PostgreSQL
	maxStatements = 10_000 // statements of a transaction
	maxColumns    = 4_096  // members of a row that is an object
)

// reader pulls values out of a JSON text. The first failure sticks: every later
// call does nothing and gives the zero value, so that decoders check once.
type reader struct {
	s     string
	i     int
	depth int
	why   string // the first failure; "" when there is none
	at    int    // byte offset of the failure
	keep  bool   // strings are cut out of s without a copy
}

func newReader(b []byte, keep bool) *reader {
	r := &reader{s: string(b), keep: keep}
	if !utf8.ValidString(r.s) {
		for r.i < len(r.s) {
			c, n := utf8.DecodeRuneInString(r.s[r.i:])
			if c == utf8.RuneError && n == 1 {
				break
			}
			r.i += n
		}
		r.fail("invalid UTF-8")
	}
	return r
}

// err gives the failure as an error with the given code, or nil. Text after the
// value is a failure too.
func (r *reader) err(code Code, prefix string) *Error {
	if r.why == "" && r.peek() != 0 {
		r.fail("unexpected text after the value")
	}
	if r.why == "" && r.i < len(r.s) {
		r.fail("unexpected character")
	}
	if r.why == "" {
		return nil
	}
	return NewError(code, prefix, r.why, " at offset ", itoa(r.at))
}

func (r *reader) fail(why string) {
	if r.why == "" {
		r.why, r.at = why, r.i
	}
}

// peek skips white space and gives the next byte, 0 at the end.
func (r *reader) peek() byte {
	if r.why != "" {
		return 0
	}
	for ; r.i < len(r.s); r.i++ {
		switch r.s[r.i] {
		case ' ', '\t', '\n', '\r':
		default:
			return r.s[r.i]
		}
	}
	return 0
}

func (r *reader) unexpected(want string) {
	if r.why != "" {
		return
	}
	if r.i >= len(r.s) {
		r.fail("unexpected end, expected " + want)
		return
	}
	r.fail("expected " + want)
}

// null takes a null if that is what comes next.
func (r *reader) null() bool {
	if r.peek() != 'n' {
		return false
	}
	return r.word("null")
}

func (r *reader) word(w string) bool {
	if len(r.s)-r.i < len(w) || r.s[r.i:r.i+len(w)] != w {
		r.fail("expected a value")
		return false
	}
	r.i += len(w)
	return true
}

// open takes the bracket that begins an array or object.
func (r *reader) open(bracket byte, what string) bool {
	if r.peek() != bracket {
		r.unexpected(what)
		return false
	}
	if r.depth++; r.depth > maxDepth {
		r.fail("nested too deeply")
		return false
	}
	r.i++
	return true
}

// more moves to the next member or element: it takes the comma, or the closing
// bracket and reports false.
func (r *reader) more(first *bool, closing byte) bool {
	c := r.peek()
	switch {
	case r.why != "":
		return false
	case c == closing && c != 0:
		r.i++
		r.depth--
		return false
	case *first:
		*first = false
		return true
	case c != ',':
		r.unexpected("a comma or the end of the " + kindOfClosing(closing))
		return false
	}
	r.i++
	return true
}

func kindOfClosing(c byte) string {
	if c == '}' {
		return "object"
	}
	return "array"
}

// member moves to the next member of an object and reads its key.
func (r *reader) member(first *bool, key *string) bool {
	if !r.more(first, '}') {
		return false
	}
	if r.peek() != '"' {
		r.unexpected("a member name")
		return false
	}
	*key = r.text()
	if r.peek() != ':' {
		r.unexpected("a colon")
		return false
	}
	r.i++
	return r.why == ""
}

func (r *reader) element(first *bool) bool { return r.more(first, ']') }

// str reads a string.
func (r *reader) str(what string) string {
	if r.peek() != '"' {
		r.unexpected(what)
		return ""
	}
	return r.text()
}

// text reads a string whose opening quote is next.
func (r *reader) text() string {
	r.i++
	start := r.i
	for r.i < len(r.s) && plain[r.s[r.i]] || r.i < len(r.s) && r.s[r.i] >= utf8.RuneSelf {
		r.i++
	}
	if r.i < len(r.s) && r.s[r.i] == '"' {
		t := r.s[start:r.i]
		r.i++
		if r.keep {
			return t
		}
		return string([]byte(t))
	}
	return r.escaped(start)
}

// escaped goes on with a string in which something other than plain text came.
func (r *reader) escaped(start int) string {
	buf := append(make([]byte, 0, r.i-start+32), r.s[start:r.i]...)
	for r.i < len(r.s) {
		c := r.s[r.i]
		switch {
		case c == '"':
			r.i++
			return string(buf)
		case c < 0x20:
			r.fail("control character in a string")
			return ""
		case c != '\\':
			buf = append(buf, c)
			r.i++
			continue
		}
		if r.i++; r.i >= len(r.s) {
			break
		}
		c = r.s[r.i]
		r.i++
		switch c {
		case '"', '\\', '/':
			buf = append(buf, c)
		case 'b':
			buf = append(buf, '\b')
		case 'f':
			buf = append(buf, '\f')
		case 'n':
			buf = append(buf, '\n')
		case 'r':
			buf = append(buf, '\r')
		case 't':
			buf = append(buf, '\t')
		case 'u':
			c, ok := r.unicode()
			if !ok {
				r.fail("invalid unicode escape")
				return ""
			}
			buf = utf8.AppendRune(buf, c)
		default:
			r.i--
			r.fail("invalid escape")
			return ""
		}
	}
	r.fail("unexpected end of a string")
	return ""
}

// unicode reads what follows \u, and the second half of a surrogate pair. A
// half alone is no character and is refused.
func (r *reader) unicode() (rune, bool) {
	hi, ok := r.hex4()
	if !ok || hi < 0xD800 || hi > 0xDFFF {
		return hi, ok
	}
	if hi >= 0xDC00 || len(r.s)-r.i < 2 || r.s[r.i] != '\\' || r.s[r.i+1] != 'u' {
		return 0, false
	}
	r.i += 2
	lo, ok := r.hex4()
	if !ok || lo < 0xDC00 || lo > 0xDFFF {
		return 0, false
	}
	return (hi-0xD800)<<10 + (lo - 0xDC00) + 0x10000, true
}

func (r *reader) hex4() (rune, bool) {
	if len(r.s)-r.i < 4 {
		return 0, false
	}
	var n rune
	for range 4 {
		c := r.s[r.i]
		switch {
		case c >= '0' && c <= '9':
			n = n<<4 | rune(c-'0')
		case c >= 'a' && c <= 'f':
			n = n<<4 | rune(c-'a'+10)
		case c >= 'A' && c <= 'F':
			n = n<<4 | rune(c-'A'+10)
		default:
			return 0, false
		}
		r.i++
	}
	return n, true
}

// number reads the digits of a number and says whether it is a plain integer.
func (r *reader) number() (digits string, integer bool) {
	start := r.i
	if r.i < len(r.s) && r.s[r.i] == '-' {
		r.i++
	}
	whole := r.i
	if !r.digits() || r.s[whole] == '0' && r.i > whole+1 {
		r.i = start
		r.unexpected("a value")
		return "", false
	}
	integer = true
	if r.i < len(r.s) && r.s[r.i] == '.' {
		r.i++
		integer = false
		if !r.digits() {
			r.unexpected("a digit")
			return "", false
		}
	}
	if r.i < len(r.s) && (r.s[r.i] == 'e' || r.s[r.i] == 'E') {
		r.i++
		integer = false
		if r.i < len(r.s) && (r.s[r.i] == '+' || r.s[r.i] == '-') {
			r.i++
		}
		if !r.digits() {
			r.unexpected("a digit")
			return "", false
		}
	}
	return r.s[start:r.i], integer
}

func (r *reader) digits() bool {
	start := r.i
	for r.i < len(r.s) && r.s[r.i] >= '0' && r.s[r.i] <= '9' {
		r.i++
	}
	return r.i > start
}

// int reads an integer, as a number or as a string of digits.
func (r *reader) int(what string) int64 {
	var digits string
	at := r.i
	switch c := r.peek(); {
	case c == '"':
		at = r.i
		digits = r.text()
	case c == '-' || c >= '0' && c <= '9':
		at = r.i
		digits, _ = r.number()
	}
	n, err := strconv.ParseInt(digits, 10, 64)
	if err != nil && r.why == "" {
		r.i = at
		r.unexpected(what)
	}
	return n
}

// count reads an unsigned number, as large as an int32 holds.
func (r *reader) count(what string) int {
	at := r.i
	n := r.int(what)
	if n < 0 {
		r.i = at
		r.unexpected(what)
		return 0
	}
	return int(min(n, math.MaxInt32))
}

// bool reads true or false.
func (r *reader) bool(what string) bool {
	switch r.peek() {
	case 't':
		return r.word("true")
	case 'f':
		r.word("false")
		return false
	}
	r.unexpected(what)
	return false
}

// value reads any value. An array or object becomes the JSON text that it is,
// and nested reports that.
func (r *reader) value() (v Value, nested bool) {
	switch c := r.peek(); {
	case c == '"':
		return TextValue(r.text()), false
	case c == '-' || c >= '0' && c <= '9':
		return r.numberValue(), false
	case c == '{' || c == '[':
		start := r.i
		r.skip()
		if r.why != "" {
			return Null, true
		}
		return TextValue(r.s[start:r.i]), true
	case c == 't' || c == 'f':
		return BoolValue(r.bool("a value")), false
	case c == 'n':
		r.word("null")
		return Null, false
	}
	r.unexpected("a value")
	return Null, false
}

func (r *reader) numberValue() Value {
	digits, integer := r.number()
	if digits == "" {
		return Null
	}
	if integer {
		if n, err := strconv.ParseInt(digits, 10, 64); err == nil {
			return IntValue(n)
		}
	}
	f, err := strconv.ParseFloat(digits, 64)
	if err != nil || !sameDecimal(digits, f) {
		return TextValue(string([]byte(digits)))
	}
	return FloatValue(f)
}

// sameDecimal reports whether f's shortest digits denote the number s, that is
// whether nothing is lost in f.
func sameDecimal(s string, f float64) bool {
	var buf [32]byte
	d1, e1 := decimalParts(s)
	d2, e2 := decimalParts(string(strconv.AppendFloat(buf[:0], f, 'e', -1, 64)))
	return d1 == d2 && (e1 == e2 || d1 == "")
}

// decimalParts splits a number into its significant digits and the exponent of
// the first of them. The sign is left out.
func decimalParts(s string) (digits string, exp int) {
	buf := make([]byte, 0, len(s))
	point, seen, lead := 0, false, false
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case c == '.':
			seen = true
		case c == 'e' || c == 'E':
			n, err := strconv.Atoi(s[i+1:])
			if err != nil {
				n = math.MaxInt32
			}
			exp = n
			i = len(s)
		case c >= '0' && c <= '9':
			if c != '0' {
				lead = true
			}
			if !seen && lead {
				point++
			}
			if seen && !lead {
				point--
			}
			if lead {
				buf = append(buf, c)
			}
		}
	}
	for len(buf) > 0 && buf[len(buf)-1] == '0' {
		buf = buf[:len(buf)-1]
	}
	return string(buf), exp + point
}

// skip passes over any value and checks it.
func (r *reader) skip() {
	first, key := true, ""
	switch r.peek() {
	case '{':
		if !r.open('{', "a value") {
			return
		}
		for r.member(&first, &key) {
			r.skip()
		}
	case '[':
		if !r.open('[', "a value") {
			return
		}
		for r.element(&first) {
			r.skip()
		}
	default:
		r.value()
	}
}
