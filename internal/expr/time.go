package expr

import (
	"strconv"
	"strings"

	"github.com/kalamdb/kalam-go/wire"
)

// Times are integers: days since 1970-01-01, microseconds since that midnight
// in UTC, microseconds since midnight. The calendar is the Gregorian one, run
// backwards as far as needed. A session's time zone is always UTC.
const (
	usPerSecond = int64(1_000_000)
	usPerMinute = 60 * usPerSecond
	usPerHour   = 60 * usPerMinute
	usPerDay    = 24 * usPerHour

	minDay = -2440588   // 4714-11-24 BC, the first day of PostgreSQL's calendar
	maxDay = 2145031948 // 5874897-12-31
	maxTS  = 106751991  // days that fit 64 bits of microseconds
	maxUS  = maxTS * usPerDay
	minUS  = minDay * usPerDay
)

// civil is a day of the calendar. Year 0 is 1 BC.
type civil struct{ year, month, day int }

// daysOf counts the days from 1970-01-01 to c, whose month is 1 to 12.
// (Days from a March-based year, so that a leap day comes last.)
func daysOf(c civil) int64 {
	y := int64(c.year)
	if c.month <= 2 {
		y--
	}
	era := floorDiv(y, 400)
	yoe := y - era*400
	mp := int64((c.month + 9) % 12)
	doy := (153*mp+2)/5 + int64(c.day) - 1
	return era*146097 + yoe*365 + yoe/4 - yoe/100 + doy - 719468
}

func civilOf(days int64) civil {
	z := days + 719468
	era := floorDiv(z, 146097)
	doe := z - era*146097
	yoe := (doe - doe/1460 + doe/36524 - doe/146096) / 365
	doy := doe - (365*yoe + yoe/4 - yoe/100)
	mp := (5*doy + 2) / 153
	c := civil{year: int(yoe + era*400), month: int(mp) + 3, day: int(doy-(153*mp+2)/5) + 1}
	if c.month > 12 {
		c.month -= 12
		c.year++
	}
	return c
}

func floorDiv(a, b int64) int64 {
	q := a / b
	if a%b != 0 && (a < 0) != (b < 0) {
		q--
	}
	return q
}

func daysInMonth(year, month int) int {
	switch month {
	case 2:
		if year%4 == 0 && (year%100 != 0 || year%400 == 0) {
			return 29
		}
		return 28
	case 4, 6, 9, 11:
		return 30
	}
	return 31
}

// splitInstant gives the day and the microseconds within it.
func splitInstant(us int64) (days, rest int64) {
	days = floorDiv(us, usPerDay)
	return days, us - days*usPerDay
}

func checkDay(days int64) (int64, error) {
	if days < minDay || days > maxDay {
		return 0, errRange(wire.Date)
	}
	return days, nil
}

func checkInstant(us int64) (int64, error) {
	if us < minUS || us > maxUS {
		return 0, errRange(wire.Timestamp)
	}
	return us, nil
}

// dayInstant is midnight of a day.
func dayInstant(days int64) (int64, error) {
	if days < minDay || days > maxTS {
		return 0, errRange(wire.Timestamp)
	}
	return days * usPerDay, nil
}

// ---- text out

func pad(b []byte, n, width int) []byte {
	s := strconv.Itoa(n)
	for i := len(s); i < width; i++ {
		b = append(b, '0')
	}
	return append(b, s...)
}

func appendDate(b []byte, days int64) (out []byte, bc bool) {
	c := civilOf(days)
	if c.year <= 0 {
		bc, c.year = true, 1-c.year
	}
	b = pad(b, c.year, 4)
	b = append(b, '-')
	b = pad(b, c.month, 2)
	b = append(b, '-')
	return pad(b, c.day, 2), bc
}

func appendTime(b []byte, us int64) []byte {
	b = pad(b, int(us/usPerHour), 2)
	b = append(b, ':')
	b = pad(b, int(us/usPerMinute%60), 2)
	b = append(b, ':')
	b = pad(b, int(us/usPerSecond%60), 2)
	if frac := us % usPerSecond; frac != 0 {
		b = append(b, '.')
		b = pad(b, int(frac), 6)
		for b[len(b)-1] == '0' {
			b = b[:len(b)-1]
		}
	}
	return b
}

func formatDate(days int64) string {
	b, bc := appendDate(nil, days)
	return string(withEra(b, bc))
}

func formatInstant(us int64, zone string) string {
	days, rest := splitInstant(us)
	b, bc := appendDate(nil, days)
	b = appendTime(append(b, ' '), rest)
	return string(withEra(append(b, zone...), bc))
}

func withEra(b []byte, bc bool) []byte {
	if bc {
		return append(b, " BC"...)
	}
	return b
}

// ---- text in

// timeText reads dates and times as text: YYYY-MM-DD, hh:mm[:ss[.ffffff]], a
// zone, BC.
type timeText struct {
	s  string
	ok bool
}

// number takes between lo and hi digits.
func (t *timeText) number(lo, hi int) int {
	n := 0
	for n < len(t.s) && n < hi && t.s[n] >= '0' && t.s[n] <= '9' {
		n++
	}
	if n < lo {
		t.ok = false
		return 0
	}
	v, _ := strconv.Atoi(t.s[:n])
	t.s = t.s[n:]
	return v
}

func (t *timeText) take(c byte) bool {
	if t.s == "" || t.s[0] != c {
		return false
	}
	t.s = t.s[1:]
	return true
}

func (t *timeText) need(c byte) {
	if !t.take(c) {
		t.ok = false
	}
}

func (t *timeText) date() civil {
	n := 0
	for n < len(t.s) && t.s[n] >= '0' && t.s[n] <= '9' {
		n++
	}
	if n == 8 { // YYYYMMDD
		return civil{t.number(4, 4), t.number(2, 2), t.number(2, 2)}
	}
	c := civil{year: t.number(4, 7)}
	t.need('-')
	c.month = t.number(1, 2)
	t.need('-')
	c.day = t.number(1, 2)
	return c
}

// clock gives the microseconds of hh:mm[:ss[.f]], -1 if a part is too large.
func (t *timeText) clock() int64 {
	h := t.number(1, 2)
	t.need(':')
	m := t.number(0, 2) // PostgreSQL reads 9: and 9::5 too
	s, us := 0, int64(0)
	if t.take(':') {
		s = t.number(0, 2)
		if t.take('.') {
			us = t.fraction()
		}
	}
	total := int64(h)*usPerHour + int64(m)*usPerMinute + int64(s)*usPerSecond + us
	if m > 59 || s > 60 || total > usPerDay {
		return -1
	}
	return total
}

// fraction reads the digits after the point, rounded to microseconds.
func (t *timeText) fraction() int64 {
	n := 0
	for n < len(t.s) && t.s[n] >= '0' && t.s[n] <= '9' {
		n++
	}
	f, err := strconv.ParseFloat("0."+t.s[:n]+"0", 64)
	if err != nil {
		t.ok = false
	}
	t.s = t.s[n:]
	return int64(f*1e6 + 0.5)
}

// zone reads Z, UTC or an offset and gives its microseconds east of UTC.
func (t *timeText) zone() int64 {
	t.s = strings.TrimLeft(t.s, " ")
	for _, name := range [...]string{"UTC", "utc", "GMT", "gmt", "Z", "z"} {
		if strings.HasPrefix(t.s, name) {
			t.s = t.s[len(name):]
			return 0
		}
	}
	sign := int64(1)
	switch {
	case t.take('-'):
		sign = -1
	case t.take('+'):
	default:
		return 0
	}
	h := t.number(2, 2)
	m, s := 0, 0
	if t.take(':') || t.s != "" && t.s[0] >= '0' && t.s[0] <= '9' {
		m = t.number(2, 2)
		if t.take(':') {
			s = t.number(2, 2)
		}
	}
	if h > 15 || m > 59 || s > 59 {
		t.ok = false
	}
	return sign * (int64(h)*usPerHour + int64(m)*usPerMinute + int64(s)*usPerSecond)
}

// day turns c into days, given the rest of the text, which may say BC.
func (t *timeText) day(c civil) (int64, bool) {
	t.s = strings.TrimSpace(t.s)
	if strings.EqualFold(t.s, "BC") {
		t.s = ""
		c.year = 1 - c.year
	} else if c.year == 0 {
		return 0, false
	}
	if c.month < 1 || c.month > 12 || c.day < 1 || c.day > daysInMonth(c.year, c.month) {
		return 0, false
	}
	return daysOf(c), true
}

// parseInstant reads a date or a timestamp. offset is that of the zone, 0 if
// there is none.
func parseInstant(text string, k wire.Kind) (days, us, offset int64, err error) {
	trimmed := strings.TrimSpace(text)
	if strings.EqualFold(trimmed, "epoch") {
		return 0, 0, 0, nil
	}
	t := &timeText{s: trimmed, ok: true}
	c := t.date()
	if t.ok && (t.take('T') || t.take('t') || t.take(' ')) && t.s != "" && !strings.EqualFold(strings.TrimSpace(t.s), "BC") {
		t.s = strings.TrimLeft(t.s, " ")
		us = t.clock()
		offset = t.zone()
	}
	if !t.ok {
		return 0, 0, 0, errInput(typeOf(k), text)
	}
	days, valid := t.day(c)
	if t.s != "" {
		return 0, 0, 0, errInput(typeOf(k), text)
	}
	if !valid || us < 0 {
		return 0, 0, 0, wire.NewError(wire.CodeInvalidText, `date/time field value out of range: "`, cut(text), `"`)
	}
	return days, us, offset, nil
}

func parseDate(text string) (int64, error) {
	days, _, _, err := parseInstant(text, wire.Date)
	if err != nil {
		return 0, err
	}
	return checkDay(days)
}

// parseTimestamp ignores a zone, as PostgreSQL does.
func parseTimestamp(text string) (int64, error) {
	days, us, _, err := parseInstant(text, wire.Timestamp)
	if err != nil {
		return 0, err
	}
	midnight, err := dayInstant(days)
	if err != nil {
		return 0, err
	}
	return checkInstant(midnight + us)
}

// parseDateTime reads an instant; k is the type that an error names.
func parseDateTime(text string, k wire.Kind) (int64, error) {
	days, us, offset, err := parseInstant(text, k)
	if err != nil {
		return 0, err
	}
	midnight, err := dayInstant(days)
	if err != nil {
		return 0, err
	}
	return checkInstant(midnight + us - offset)
}

func parseTime(text string) (int64, error) {
	t := &timeText{s: strings.TrimSpace(text), ok: true}
	us := t.clock()
	t.zone()
	if !t.ok || t.s != "" {
		// The time of a whole timestamp will do too.
		if _, us, _, err := parseInstant(text, wire.Time); err == nil && strings.Contains(text, ":") {
			return us, nil
		}
		return 0, errInput(typeOf(wire.Time), text)
	}
	if us < 0 {
		return 0, wire.NewError(wire.CodeInvalidText, `date/time field value out of range: "`, cut(text), `"`)
	}
	return us, nil
}
