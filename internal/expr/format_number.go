package expr

import (
	"strings"

	"github.com/kalamdb/kalam-go/wire"
)

// numberTemplate is a template of to_char and to_number for numbers, taken
// apart.
type numberTemplate struct {
	tokens  []string // "9", "0", ".", ",", "S", "MI", "PL", "SG", "PR", "L", "TH" or text behind a quote
	whole   int      // digits before the point
	after   int      // digits behind it
	zero    int      // the place of the first 0 before the point, -1 for none
	zeroEnd int      // digits behind the point up to the last 0
	fill    bool     // FM
	signed  bool     // the template says where the sign goes
}

func parseNumberTemplate(template string) (*numberTemplate, error) {
	t := &numberTemplate{zero: -1}
	point := false
	for s := template; s != ""; {
		if s[0] == '"' {
			text, rest, _ := strings.Cut(s[1:], `"`)
			t.tokens, s = append(t.tokens, `"`+text), rest
			continue
		}
		word := ""
		for _, k := range []string{"EEEE", "FM", "MI", "PL", "SG", "PR", "RN", "TH", "9", "0", ".", ",", "D", "G", "S", "L", "V", "B", "C"} {
			if len(s) >= len(k) && strings.EqualFold(s[:len(k)], k) {
				word = k
				break
			}
		}
		if word == "" {
			t.tokens, s = append(t.tokens, `"`+s[:1]), s[1:]
			continue
		}
		written := s[:len(word)]
		s = s[len(word):]
		switch word {
		case "EEEE", "RN", "V", "B", "C":
			return nil, wire.NewError(wire.CodeUnsupported, word, " in the template of a number is not supported")
		case "FM":
			t.fill = true
			continue
		case "9", "0":
			switch {
			case point:
				t.after++
				if word == "0" {
					t.zeroEnd = t.after
				}
			default:
				if word == "0" && t.zero < 0 {
					t.zero = t.whole
				}
				t.whole++
			}
		case "D", ".":
			if point {
				return nil, wire.NewError(wire.CodeInvalidSQL, "multiple decimal points")
			}
			point, word = true, "."
		case "G":
			word = ","
		case "S", "MI", "SG", "PR":
			t.signed = true
		case "TH":
			word = written
		}
		t.tokens = append(t.tokens, word)
	}
	return t, nil
}

// formatNumber is to_char of a number.
func formatNumber(d *decimal, template string) (wire.Value, error) {
	t, err := parseNumberTemplate(template)
	if err != nil {
		return wire.Null, err
	}
	r := d.rescale(t.after, halfAway)
	negative := r.c.Sign() < 0
	whole, frac, _ := strings.Cut(strings.TrimPrefix(r.String(), "-"), ".")
	overflow := len(whole) > t.whole
	if whole == "0" && (t.after > 0 || t.whole == 0) {
		whole, overflow = "", t.whole == 0 && overflow && t.after == 0
	}
	if overflow {
		whole, frac = strings.Repeat("#", t.whole), strings.Repeat("#", t.after)
	}
	if t.fill && !overflow {
		for len(frac) > t.zeroEnd && strings.HasSuffix(frac, "0") {
			frac = frac[:len(frac)-1]
		}
	}
	return bounded(t.build(whole, frac, negative, r))
}

func (t *numberTemplate) build(whole, frac string, negative bool, r *decimal) string {
	var b strings.Builder
	blank := func(n int) {
		if !t.fill {
			b.WriteString(strings.Repeat(" ", n))
		}
	}
	bracket, anchored, trailing := false, !t.signed, false
	for i, k := range t.tokens {
		switch k {
		case "PR":
			bracket = true
		case "S":
			trailing = t.digitsBefore(i) > 0
			anchored = anchored || !trailing
		}
	}
	started := false // the first digit, or what stands for it, is written
	start := func() {
		if started {
			return
		}
		started = true
		switch {
		case bracket && negative:
			b.WriteByte('<')
		case bracket:
			blank(1)
		case anchored && negative:
			b.WriteByte('-')
		case anchored && t.signed:
			b.WriteByte('+')
		case anchored:
			blank(1)
		}
	}
	place, point := 0, false
	for _, k := range t.tokens {
		switch k {
		case "9", "0":
			switch {
			case point:
				if frac != "" {
					b.WriteByte(frac[0])
					frac = frac[1:]
				}
			case t.whole-place <= len(whole):
				start()
				b.WriteByte(whole[len(whole)-(t.whole-place)])
			case t.zero >= 0 && place >= t.zero:
				start()
				b.WriteByte('0')
			default:
				blank(1)
			}
			if !point {
				place++
			}
		case ",":
			if started {
				b.WriteByte(',')
			} else {
				blank(1)
			}
		case ".":
			start()
			point = true
			b.WriteByte('.')
		case "S":
			if trailing {
				b.WriteString(signOf(negative))
			}
		case "SG":
			b.WriteString(signOf(negative))
		case "MI":
			if negative {
				b.WriteByte('-')
			} else {
				blank(1)
			}
		case "PL":
			if !negative {
				b.WriteByte('+')
			} else {
				blank(1)
			}
		case "PR":
			if negative {
				b.WriteByte('>')
			} else {
				blank(1)
			}
		case "L":
			blank(1)
		case "TH", "th", "Th", "tH":
			if !negative && r.scale == 0 && r.c.IsInt64() {
				b.WriteString(ordinalSuffix(r.c.Int64(), k))
			}
		default:
			b.WriteString(strings.TrimPrefix(k, `"`))
		}
	}
	return b.String()
}

func signOf(negative bool) string {
	if negative {
		return "-"
	}
	return "+"
}

// digitsBefore counts the digits of the template before token i.
func (t *numberTemplate) digitsBefore(i int) int {
	n := 0
	for _, k := range t.tokens[:i] {
		if k == "9" || k == "0" {
			n++
		}
	}
	return n
}

// parseNumber is to_number: the digits, the point and the sign count, and no
// more digits than the template has.
func parseNumber(text, template string) (wire.Value, error) {
	t, err := parseNumberTemplate(template)
	if err != nil {
		return wire.Null, err
	}
	var b strings.Builder
	negative, point, whole, after := false, false, 0, 0
	for _, c := range text {
		switch {
		case c == '-' || c == '<':
			negative = true
		case c == '.' && !point && t.after > 0:
			point = true
			b.WriteByte('.')
		case c == '.' && t.after == 0:
			point = true
		case c >= '0' && c <= '9':
			switch {
			case point && after < t.after:
				after++
				b.WriteRune(c)
			case !point && whole < t.whole:
				whole++
				b.WriteRune(c)
			}
		}
	}
	if whole+after == 0 {
		return wire.Null, errInput(ownDecimal, text)
	}
	d, err := parseDecimal(b.String())
	if err != nil {
		return wire.Null, err
	}
	if negative {
		d.c.Neg(&d.c)
	}
	return d.result()
}
