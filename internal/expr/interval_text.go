package expr

import (
	"math"
	"strconv"
	"strings"

	"github.com/kalamdb/kalam-go/wire"
)

// IntervalText is the text of an INTERVAL as the engine holds it.
func IntervalText(b []byte) string { return formatSpan(spanOf(wire.BytesValue(b))) }

// formatSpan writes an interval as PostgreSQL does: 1 year 2 mons -3 days
// +04:05:06.7.
func formatSpan(s span) string {
	var b []byte
	before := false
	part := func(n int64, unit string) {
		if n == 0 {
			return
		}
		if len(b) > 0 {
			b = append(b, ' ')
		}
		if before && n > 0 {
			b = append(b, '+')
		}
		b = append(strconv.AppendInt(b, n, 10), ' ')
		b = append(b, unit...)
		if n != 1 {
			b = append(b, 's')
		}
		before = n < 0
	}
	part(int64(s.months)/12, "year")
	part(int64(s.months)%12, "mon")
	part(int64(s.days), "day")
	if s.us == 0 && len(b) > 0 {
		return string(b)
	}
	if len(b) > 0 {
		b = append(b, ' ')
	}
	us := uint64(s.us)
	switch {
	case s.us < 0:
		b, us = append(b, '-'), -us
	case before:
		b = append(b, '+')
	}
	b = pad(b, int(us/uint64(usPerHour)), 2)
	clock := appendTime(nil, int64(us%uint64(usPerHour)))
	return string(append(b, clock[2:]...))
}

// intervalUnits maps the spellings of a unit to one, beside fieldNames.
var intervalUnits = map[string]string{
	"yr": "year", "yrs": "year", "mons": "month", "w": "week", "weeks": "week", "hr": "hour", "hrs": "hour",
	"mins": "minute", "secs": "second", "msec": "milliseconds", "msecs": "milliseconds",
	"usec": "microseconds", "usecs": "microseconds", "decades": "decade", "dec": "decade", "decs": "decade",
	"c": "century", "cent": "century", "centuries": "century",
	"mil": "millennium", "mils": "millennium", "millennia": "millennium",
}

// spanText reads an interval.
type spanText struct {
	months, days, us float64 // whole numbers
	set              bool
}

// add takes n units; what a unit does not hold goes into smaller ones.
func (t *spanText) add(n float64, unit string) bool {
	t.set = true
	whole, frac := math.Modf(n)
	switch unit {
	case "millennium", "century", "decade", "year":
		years := map[string]float64{"millennium": 1000, "century": 100, "decade": 10, "year": 1}[unit]
		t.months += whole*years*12 + math.RoundToEven(frac*years*12)
	case "month":
		t.months += whole
		t.addDays(frac * 30)
	case "week":
		t.addDays(n * 7)
	case "day":
		t.addDays(n)
	default:
		us := map[string]float64{"hour": float64(usPerHour), "minute": float64(usPerMinute), "second": float64(usPerSecond),
			"milliseconds": 1000, "microseconds": 1}[unit]
		if us == 0 {
			return false
		}
		t.us += whole*us + math.RoundToEven(frac*us)
	}
	return true
}

func (t *spanText) addDays(n float64) {
	whole, frac := math.Modf(n)
	t.days += whole
	t.us += math.RoundToEven(frac * float64(usPerDay))
}

func (t *spanText) span() (span, error) {
	if math.Abs(t.months) >= 1<<31 || math.Abs(t.days) >= 1<<31 || math.Abs(t.us) >= 1<<63 {
		return span{}, wire.NewError(wire.CodeNumericOutOfRange, "interval field value out of range")
	}
	return makeSpan(int64(t.months), int64(t.days), int64(t.us))
}

// parseSpan reads the forms 1 day 2 hours, 1 02:03:04, 1-2, P1DT2H and what
// lies between.
func parseSpan(text string) (span, error) {
	s := strings.ToLower(strings.TrimSpace(text))
	t := &spanText{}
	ok := false
	if rest, iso := strings.CutPrefix(s, "p"); iso {
		ok = t.iso(rest)
	} else {
		ok = t.words(s)
	}
	if !ok || !t.set {
		return span{}, errInput(typeOf(Interval), text)
	}
	return t.span()
}

// iso reads what follows P.
func (t *spanText) iso(s string) bool {
	clock := false
	for s != "" {
		if rest, ok := strings.CutPrefix(s, "t"); ok {
			s, clock = rest, true
			continue
		}
		n, rest, ok := leadingNumber(s)
		if !ok || rest == "" {
			return false
		}
		unit := map[byte]string{'y': "year", 'm': "month", 'w': "week", 'd': "day"}[rest[0]]
		if clock {
			unit = map[byte]string{'h': "hour", 'm': "minute", 's': "second"}[rest[0]]
		}
		if unit == "" || !t.add(n, unit) {
			return false
		}
		s = rest[1:]
	}
	return true
}

func leadingNumber(s string) (n float64, rest string, ok bool) {
	i := 0
	if i < len(s) && (s[i] == '-' || s[i] == '+') {
		i++
	}
	digits := i
	for i < len(s) && (s[i] >= '0' && s[i] <= '9' || s[i] == '.') {
		i++
	}
	if i == digits {
		return 0, s, false
	}
	n, err := strconv.ParseFloat(s[:i], 64)
	return n, s[i:], err == nil
}

// words reads numbers with units, a time, and years-months.
func (t *spanText) words(s string) bool {
	s = strings.TrimSpace(strings.TrimPrefix(s, "@"))
	ago := false
	if rest, ok := strings.CutSuffix(s, "ago"); ok {
		s, ago = strings.TrimSpace(rest), true
	}
	pending, open := 0.0, false // a number whose unit is still to come
	for s != "" {
		n, rest, ok := leadingNumber(s)
		if !ok {
			end := strings.IndexAny(s, " +-0123456789")
			if end < 0 {
				end = len(s)
			}
			unit := fieldNames[s[:end]]
			if u := intervalUnits[s[:end]]; u != "" {
				unit = u
			}
			if !open || !t.add(pending, unit) {
				return false
			}
			open = false
			s = strings.TrimLeft(s[end:], " ")
			continue
		}
		switch {
		case strings.HasPrefix(rest, ":"):
			if open && !t.add(pending, "day") {
				return false
			}
			open = false
			if rest, ok = t.clock(s); !ok {
				return false
			}
		case len(rest) > 1 && rest[0] == '-' && rest[1] >= '0' && rest[1] <= '9' && !open:
			m, after, ok := leadingNumber(rest[1:])
			if !ok || m > 11 {
				return false
			}
			if strings.HasPrefix(s, "-") {
				m = -m
			}
			t.add(n, "year")
			t.add(m, "month")
			rest = after
		case open:
			return false
		default:
			pending, open = n, true
		}
		s = strings.TrimLeft(rest, " ")
	}
	if open && !t.add(pending, "second") {
		return false
	}
	if ago {
		t.months, t.days, t.us = -t.months, -t.days, -t.us
	}
	return true
}

// clock reads hh:mm[:ss[.f]] or mm:ss.f.
func (t *spanText) clock(s string) (rest string, ok bool) {
	sign := 1.0
	if s[0] == '-' || s[0] == '+' {
		if s[0] == '-' {
			sign = -1
		}
		s = s[1:]
	}
	end := strings.IndexByte(s, ' ')
	if end < 0 {
		end = len(s)
	}
	parts := strings.Split(s[:end], ":")
	units := []string{"hour", "minute", "second"}
	if len(parts) == 2 && strings.Contains(parts[1], ".") {
		units = units[1:]
	}
	if len(parts) < 2 || len(parts) > len(units) {
		return "", false
	}
	for i, part := range parts {
		n, more, ok := leadingNumber(part)
		if !ok || more != "" || part[0] == '-' || part[0] == '+' || i > 0 && n >= 60 || units[i] != "second" && strings.Contains(part, ".") {
			return "", false
		}
		t.add(sign*n, units[i])
	}
	return s[end:], true
}
