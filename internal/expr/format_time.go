package expr

import (
	"strconv"
	"strings"

	"github.com/kalamdb/kalam-go/wire"
)

// timeKeys are the keywords of a time template, longer ones first. Those of
// names stand for the case in which they are written.
var timeKeys = []string{
	"Y,YYY", "SSSSS", "IDDD", "HH24", "HH12", "IYYY", "YYYY", "SSSS", "A.D.", "B.C.", "A.M.", "P.M.",
	"MONTH", "DDD", "DAY", "MON", "IYY", "YYY", "TZH", "TZM", "FF1", "FF2", "FF3", "FF4", "FF5", "FF6",
	"AD", "AM", "BC", "PM", "CC", "DD", "DY", "HH", "ID", "IW", "IY", "MI", "MM", "MS", "OF", "RM", "SS",
	"TZ", "US", "WW", "YY", "D", "I", "J", "Q", "W", "Y",
}

// timeToken is a part of a template: a keyword with what modifies it, or text.
type timeToken struct {
	key     string // upper case, "" for text
	text    string // as written
	fill    bool   // FM: no padding
	ordinal string // TH or th
}

func timeTokens(template string) []timeToken {
	var out []timeToken
	literal := func(s string) {
		if n := len(out); n > 0 && out[n-1].key == "" {
			out[n-1].text += s
			return
		}
		out = append(out, timeToken{text: s})
	}
	for s := template; s != ""; {
		if s[0] == '"' {
			text, rest, _ := strings.Cut(s[1:], `"`)
			literal(text)
			s = rest
			continue
		}
		t := timeToken{}
		if len(s) > 2 && (strings.EqualFold(s[:2], "FM") || strings.EqualFold(s[:2], "TM")) {
			t.fill = strings.EqualFold(s[:2], "FM")
			s = s[2:]
		}
		for _, k := range timeKeys {
			if len(s) >= len(k) && strings.EqualFold(s[:len(k)], k) {
				t.key, t.text = k, s[:len(k)]
				break
			}
		}
		if t.key == "" {
			literal(s[:1])
			s = s[1:]
			continue
		}
		s = s[len(t.key):]
		if len(s) >= 2 && strings.EqualFold(s[:2], "TH") {
			t.ordinal, s = s[:2], s[2:]
		}
		out = append(out, t)
	}
	return out
}

var monthNames = []string{"January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November", "December"}

var dayNames = []string{"Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"}

var romanMonths = []string{"I", "II", "III", "IV", "V", "VI", "VII", "VIII", "IX", "X", "XI", "XII"}

// inCase writes a name as the keyword is written.
func (t *timeToken) inCase(name string, width int) string {
	switch {
	case t.text == strings.ToLower(t.text):
		name = strings.ToLower(name)
	case len(t.text) > 1 && t.text[1] >= 'A' && t.text[1] <= 'Z' || t.text[0] == '.':
		name = strings.ToUpper(name)
	}
	if !t.fill {
		for len(name) < width {
			name += " "
		}
	}
	return name
}

func (t *timeToken) number(n int64, width int) string {
	var b []byte
	if n < 0 {
		b, n = append(b, '-'), -n
	}
	if t.fill {
		width = 0
	}
	s := string(pad(b, int(n), width))
	if t.ordinal != "" {
		s += ordinalSuffix(n, t.ordinal)
	}
	return s
}

func ordinalSuffix(n int64, like string) string {
	s := "th"
	if n%100 < 11 || n%100 > 13 {
		switch n % 10 {
		case 1:
			s = "st"
		case 2:
			s = "nd"
		case 3:
			s = "rd"
		}
	}
	if like[0] == 'T' {
		s = strings.ToUpper(s)
	}
	return s
}

// formatTime is to_char of an instant; zone is "UTC" where it has one.
func formatTime(us int64, template, zone string) (wire.Value, error) {
	if template == "" {
		return wire.Null, nil
	}
	days, clock := splitInstant(us)
	var b strings.Builder
	for _, t := range timeTokens(template) {
		b.WriteString(t.format(days, clock, zone))
	}
	return bounded(b.String())
}

func (t *timeToken) format(days, clock int64, zone string) string {
	c := civilOf(days)
	hour, second := clock/usPerHour, clock/usPerSecond%60
	year := int64(c.year)
	if year <= 0 {
		year = 1 - year
	}
	isoWeekOf, isoYear := isoWeek(days)
	half := func(first, second string, late bool) string {
		if late {
			first = second
		}
		return (&timeToken{text: t.text, fill: true}).inCase(first, 0)
	}
	switch t.key {
	case "":
		return t.text
	case "HH", "HH12":
		return t.number((hour+11)%12+1, 2)
	case "HH24":
		return t.number(hour, 2)
	case "MI":
		return t.number(clock/usPerMinute%60, 2)
	case "SS":
		return t.number(second, 2)
	case "MS":
		return t.number(clock%usPerSecond/1000, 3)
	case "US":
		return t.number(clock%usPerSecond, 6)
	case "FF1", "FF2", "FF3", "FF4", "FF5", "FF6":
		return string(pad(nil, int(clock%usPerSecond), 6))[:t.key[2]-'0']
	case "SSSS", "SSSSS":
		return t.number(clock/usPerSecond, 0)
	case "AM", "PM":
		return half("AM", "PM", hour >= 12)
	case "A.M.", "P.M.":
		return half("A.M.", "P.M.", hour >= 12)
	case "AD", "BC":
		return half("AD", "BC", c.year <= 0)
	case "A.D.", "B.C.":
		return half("A.D.", "B.C.", c.year <= 0)
	case "Y,YYY":
		return strconv.FormatInt(year/1000, 10) + "," + string(pad(nil, int(year%1000), 3))
	case "YYYY":
		return t.number(year, 4)
	case "YYY":
		return t.number(year%1000, 3)
	case "YY":
		return t.number(year%100, 2)
	case "Y":
		return t.number(year%10, 1)
	case "IYYY":
		return t.number(isoYear, 4)
	case "IYY":
		return t.number(isoYear%1000, 3)
	case "IY":
		return t.number(isoYear%100, 2)
	case "I":
		return t.number(isoYear%10, 1)
	case "IW":
		return t.number(isoWeekOf, 2)
	case "IDDD":
		return t.number((isoWeekOf-1)*7+weekday(days), 3)
	case "MM":
		return t.number(int64(c.month), 2)
	case "MONTH":
		return t.inCase(monthNames[c.month-1], 9)
	case "MON":
		return t.inCase(monthNames[c.month-1][:3], 0)
	case "RM":
		return t.inCase(romanMonths[c.month-1], 4)
	case "DAY":
		return t.inCase(dayNames[weekday(days)-1], 9)
	case "DY":
		return t.inCase(dayNames[weekday(days)-1][:3], 0)
	case "DDD", "WW":
		doy := days - daysOf(civil{c.year, 1, 1}) + 1
		if t.key == "WW" {
			return t.number((doy-1)/7+1, 2)
		}
		return t.number(doy, 3)
	case "DD":
		return t.number(int64(c.day), 2)
	case "D":
		return t.number(weekday(days)%7+1, 1)
	case "ID":
		return t.number(weekday(days), 1)
	case "W":
		return t.number(int64(c.day-1)/7+1, 1)
	case "CC":
		return t.number(period(year, 100), 2)
	case "J":
		return t.number(days+2440588, 0)
	case "Q":
		return t.number(int64(c.month-1)/3+1, 1)
	case "TZ":
		if t.text == "tz" {
			return strings.ToLower(zone)
		}
		return zone
	case "TZH", "OF":
		return "+00"
	case "TZM":
		return "00"
	}
	return t.text
}

// timeFields are what a template reads.
type timeFields struct {
	year, month, day, doy, julian int64
	hour, minute, second, us      int64
	whole                         int64 // seconds of the day, -1 for none
	half, afternoon, bc           bool
	offset                        int64
}

func errTemplate(text, template string) *wire.Error {
	return wire.NewError(wire.CodeInvalidText, `"`, cut(text), `" does not match the template "`, cut(template), `"`)
}

// parseTemplate reads text by a template: days, and microseconds in UTC.
func parseTemplate(text, template string) (days, us int64, err error) {
	bad := errTemplate(text, template)
	f := timeFields{month: 1, day: 1, whole: -1}
	s := text
	tokens := timeTokens(template)
	for i := range tokens {
		t := &tokens[i]
		if t.key == "" {
			// A separator takes what separates; other text takes its length.
			for _, r := range t.text {
				if isWord(r) {
					_, s = splitRunes(s, 1)
					continue
				}
				if s != "" && !isWord(rune(s[0])) && s[0] != '-' && s[0] != '+' || s != "" && s[0] == byte(r) {
					s = s[1:]
				}
			}
			continue
		}
		s = strings.TrimLeft(s, " ")
		next := i+1 < len(tokens) && tokens[i+1].key != "" && !t.fill
		ok := false
		if s, ok = f.read(t, s, next); !ok {
			return 0, 0, bad
		}
	}
	if f.bc {
		f.year = 1 - f.year
	}
	if f.half {
		if f.hour < 1 || f.hour > 12 {
			return 0, 0, bad
		}
		f.hour %= 12
		if f.afternoon {
			f.hour += 12
		}
	}
	outside := wire.NewError(wire.CodeInvalidText, `date/time field value out of range: "`, cut(text), `"`)
	if f.month < 1 || f.month > 12 || f.day < 1 || f.day > int64(daysInMonth(int(f.year), int(f.month))) ||
		f.hour > 23 || f.minute > 59 || f.second > 59 || f.doy > 366 {
		return 0, 0, outside
	}
	days = daysOf(civil{int(f.year), int(f.month), int(f.day)})
	switch {
	case f.julian > 0:
		days = f.julian - 2440588
	case f.doy > 0:
		days = daysOf(civil{int(f.year), 1, 1}) + f.doy - 1
	}
	us = f.hour*usPerHour + f.minute*usPerMinute + f.second*usPerSecond
	if f.whole >= 0 {
		us = f.whole * usPerSecond
	}
	return days, us + f.us - f.offset, nil
}

// digits takes a whole number: width digits if another field follows at once.
func digits(s string, width int, tight bool) (n int64, count int, rest string, ok bool) {
	if !tight {
		width = 9
	}
	for count < len(s) && count < width && s[count] >= '0' && s[count] <= '9' {
		count++
	}
	n, err := strconv.ParseInt(s[:count], 10, 64)
	return n, count, s[count:], err == nil
}

func (f *timeFields) read(t *timeToken, s string, tight bool) (rest string, ok bool) {
	into := func(n *int64, width int) (string, bool) {
		v, _, rest, ok := digits(s, width, tight)
		*n = v
		if t.ordinal != "" && len(rest) >= 2 {
			rest = rest[2:]
		}
		return rest, ok
	}
	fraction := func(width int) (string, bool) {
		v, count, rest, ok := digits(s, width, true)
		for ; count < 6; count++ {
			v *= 10
		}
		f.us += v
		return rest, ok
	}
	var ignored int64
	switch t.key {
	case "YYYY", "Y,YYY":
		return into(&f.year, 4)
	case "YYY", "YY", "Y":
		v, count, rest, ok := digits(s, len(t.key), tight)
		switch {
		case count < 3 && v < 70:
			v += 2000
		case count < 3:
			v += 1900
		case count == 3 && v < 520:
			v += 2000
		case count == 3:
			v += 1000
		}
		f.year = v
		return rest, ok
	case "MM":
		return into(&f.month, 2)
	case "DD":
		return into(&f.day, 2)
	case "DDD":
		return into(&f.doy, 3)
	case "J":
		return into(&f.julian, 7)
	case "HH24":
		return into(&f.hour, 2)
	case "HH", "HH12":
		f.half = true
		return into(&f.hour, 2)
	case "MI":
		return into(&f.minute, 2)
	case "SS":
		return into(&f.second, 2)
	case "SSSS", "SSSSS":
		return into(&f.whole, 5)
	case "MS":
		return fraction(3)
	case "US":
		return fraction(6)
	case "FF1", "FF2", "FF3", "FF4", "FF5", "FF6":
		return fraction(int(t.key[2] - '0'))
	case "D", "ID", "Q", "W", "WW", "CC":
		return into(&ignored, 2)
	case "MONTH", "MON":
		i, rest := prefixOf(s, monthNames, t.key == "MON")
		f.month = int64(i + 1)
		return rest, i >= 0
	case "DAY", "DY":
		i, rest := prefixOf(s, dayNames, t.key == "DY")
		return rest, i >= 0
	case "AM", "PM", "A.M.", "P.M.":
		i, rest := prefixOf(s, []string{"A.M.", "P.M.", "AM", "PM"}, false)
		f.afternoon, f.half = i%2 == 1, true
		return rest, i >= 0
	case "AD", "BC", "A.D.", "B.C.":
		i, rest := prefixOf(s, []string{"A.D.", "B.C.", "AD", "BC"}, false)
		f.bc = i%2 == 1
		return rest, i >= 0
	case "TZH", "OF":
		sign := int64(1)
		if strings.HasPrefix(s, "-") {
			sign = -1
		}
		s = strings.TrimLeft(s, "+-")
		rest, ok := into(&ignored, 2)
		f.offset += sign * ignored * usPerHour
		return rest, ok
	case "TZM":
		rest, ok := into(&ignored, 2)
		if f.offset < 0 {
			ignored = -ignored
		}
		f.offset += ignored * usPerMinute
		return rest, ok
	}
	return s, false
}

// prefixOf finds the name that s starts with, or its first three letters.
func prefixOf(s string, names []string, short bool) (int, string) {
	for i, name := range names {
		if short {
			name = name[:3]
		}
		if len(s) >= len(name) && strings.EqualFold(s[:len(name)], name) {
			return i, s[len(name):]
		}
	}
	return -1, s
}

var formatFunctions = makeFormatFunctions()

func makeFormatFunctions() []*function {
	var list []*function
	add := func(name string, result wire.Kind, eval func(a []wire.Value) (wire.Value, error), args ...wire.Kind) {
		list = append(list, &function{name: name, args: args, result: result, eval: eval})
	}
	text := wire.Text
	add("to_char", text, func(a []wire.Value) (wire.Value, error) { return formatTime(a[0].Int(), a[1].Text(), "") }, wire.Timestamp, text)
	add("to_char", text, func(a []wire.Value) (wire.Value, error) { return formatTime(a[0].Int(), a[1].Text(), "UTC") }, wire.DateTime, text)
	for _, k := range []wire.Kind{wire.Int, wire.BigInt, wire.Decimal, wire.Double} {
		add("to_char", text, func(a []wire.Value) (wire.Value, error) {
			var d *decimal
			var err error
			switch k {
			case wire.Decimal:
				d = mustDecimal(a[0])
			case wire.Double:
				d, err = decimalOfFloat(a[0].Float(), 15)
			default:
				d = decimalOfInt(a[0].Int())
			}
			if err != nil {
				return wire.Null, err
			}
			return formatNumber(d, a[1].Text())
		}, k, text)
	}
	add("to_date", wire.Date, func(a []wire.Value) (wire.Value, error) {
		days, _, err := parseTemplate(a[0].Text(), a[1].Text())
		if err != nil {
			return wire.Null, err
		}
		return intResult(checkDay(days))
	}, text, text)
	add("to_timestamp", wire.DateTime, func(a []wire.Value) (wire.Value, error) {
		days, us, err := parseTemplate(a[0].Text(), a[1].Text())
		if err != nil {
			return wire.Null, err
		}
		midnight, err := dayInstant(days)
		if err != nil {
			return wire.Null, err
		}
		return intResult(checkInstant(midnight + us))
	}, text, text)
	add("to_number", wire.Decimal, func(a []wire.Value) (wire.Value, error) { return parseNumber(a[0].Text(), a[1].Text()) }, text, text)
	return list
}
