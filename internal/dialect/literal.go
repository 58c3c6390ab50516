package dialect

import (
	"strings"
	"unicode/utf8"
)

// identValue is the name that a word or a quoted name stands for.
func (p *parser) identValue(t token) string {
	if t.kind == tokWord {
		return t.word
	}
	q := p.scan.sql[t.start : t.start+1]
	return unquote(p.scan.sql[t.start+1:t.end-1], q)
}

// unquote replaces doubled quotes.
func unquote(text, q string) string {
	if strings.Contains(text, q) {
		return strings.ReplaceAll(text, q+q, q)
	}
	return text
}

// stringValue is the text that a string token stands for.
func (p *parser) stringValue(t token) string {
	raw := p.scan.sql[t.start:t.end]
	switch raw[0] {
	case '\'':
		return unquote(raw[1:len(raw)-1], "'")
	case '$':
		tag := strings.IndexByte(raw[1:], '$') + 2
		return raw[tag : len(raw)-tag]
	}
	return p.unescape(t)
}

// bytesValue is the \x form of X'..'.
func (p *parser) bytesValue(t token) string {
	digits := p.scan.sql[t.start+2 : t.end-1]
	for i := range len(digits) {
		if !isHex(digits[i]) {
			p.failAt(Pos(t.start), "X'...' takes hexadecimal digits only")
		}
	}
	if len(digits)%2 != 0 {
		p.failAt(Pos(t.start), "X'...' takes an even number of digits")
	}
	return `\x` + strings.ToLower(digits)
}

// unescape reads E'..'.
func (p *parser) unescape(t token) string {
	raw := p.scan.sql[t.start+2 : t.end-1]
	out := make([]byte, 0, len(raw))
	for i := 0; i < len(raw); {
		c := raw[i]
		if c == '\'' {
			i++ // the first of two
		}
		if c != '\\' {
			out = append(out, c)
			i++
			continue
		}
		i++
		c = raw[i]
		if j := strings.IndexByte("bfnrt", c); j >= 0 {
			out = append(out, "\b\f\n\r\t"[j])
			i++
			continue
		}
		switch {
		case c == 'x' && i+1 < len(raw) && isHex(raw[i+1]):
			v, n := digitsValue(raw[i+1:], 16, 2)
			out = append(out, byte(v))
			i += 1 + n
		case c == 'u' || c == 'U':
			want := 4
			if c == 'U' {
				want = 8
			}
			v, n := digitsValue(raw[i+1:], 16, want)
			if n != want || v > utf8.MaxRune || !utf8.ValidRune(rune(v)) {
				p.failAt(Pos(t.start+2+i-1), "invalid Unicode escape")
			}
			out = utf8.AppendRune(out, rune(v))
			i += 1 + n
		case '0' <= c && c <= '7':
			v, n := digitsValue(raw[i:], 8, 3)
			out = append(out, byte(v))
			i += n
		default:
			out = append(out, c)
			i++
		}
	}
	text := string(out)
	if strings.IndexByte(text, 0) >= 0 || !utf8.ValidString(text) {
		p.failAt(Pos(t.start), "the escapes of this text make a NUL byte or invalid UTF-8")
	}
	return text
}

// digitsValue reads up to most digits.
func digitsValue(text string, base uint32, most int) (v uint32, n int) {
	for n < most && n < len(text) {
		d := uint32(99)
		switch c := lower(text[n]); {
		case isDigit(c):
			d = uint32(c - '0')
		case 'a' <= c && c <= 'f':
			d = uint32(c-'a') + 10
		}
		if d >= base {
			break
		}
		v = v*base + d
		n++
	}
	return v, n
}
