package expr

import (
	"encoding/binary"
	"math"
	"math/bits"
	"strings"

	"github.com/kalamdb/kalam-go/wire"
)

// Interval is the kind of INTERVAL, which exists in expressions only: no column
// has it, and a result shows it as TEXT (see Settle).
//
// Its value is TagBytes: the length as a 128-bit number of microseconds with
// months of 30 days, biased so that it sorts, and then months, days and
// microseconds. Intervals of one length are equal: '1 mon' = '30 days'.
const Interval wire.Kind = 64

// IntervalKey is how many bytes of the stored form of an interval compare.
const IntervalKey = 16

// span is an interval.
type span struct {
	months, days int32
	us           int64
}

func errInterval() *wire.Error {
	return wire.NewError(wire.CodeNumericOutOfRange, "interval out of range")
}

func makeSpan(months, days, us int64) (span, error) {
	if months != int64(int32(months)) || days != int64(int32(days)) {
		return span{}, errInterval()
	}
	return span{int32(months), int32(days), us}, nil
}

// length is the total, high and low half, with months of 30 days.
func (s span) length() (hi int64, lo uint64) {
	days := int64(s.months)*30 + int64(s.days)
	h, l := bits.Mul64(uint64(days), uint64(usPerDay))
	if days < 0 {
		h -= uint64(usPerDay)
	}
	var carry uint64
	lo, carry = bits.Add64(l, uint64(s.us), 0)
	h2, _ := bits.Add64(h, uint64(s.us>>63), carry)
	return int64(h2), lo
}

func (s span) value() wire.Value {
	hi, lo := s.length()
	b := binary.BigEndian.AppendUint64(make([]byte, 0, 32), uint64(hi)^1<<63)
	b = binary.BigEndian.AppendUint64(b, lo)
	b = binary.BigEndian.AppendUint32(b, uint32(s.months))
	b = binary.BigEndian.AppendUint32(b, uint32(s.days))
	return wire.BytesValue(binary.BigEndian.AppendUint64(b, uint64(s.us)))
}

func spanOf(v wire.Value) span {
	b := []byte(v.Raw())
	if len(b) != 32 {
		return span{}
	}
	return span{int32(binary.BigEndian.Uint32(b[16:])), int32(binary.BigEndian.Uint32(b[20:])), int64(binary.BigEndian.Uint64(b[24:]))}
}

func spanResult(s span, err error) (wire.Value, error) {
	if err != nil {
		return wire.Null, err
	}
	return s.value(), nil
}

func (s span) neg() (span, error) {
	if s.us == math.MinInt64 {
		return s, errInterval()
	}
	return makeSpan(-int64(s.months), -int64(s.days), -s.us)
}

func (s span) add(t span) (span, error) {
	us, ok, _ := intOps["+"](s.us, t.us)
	if !ok {
		return s, errInterval()
	}
	return makeSpan(int64(s.months)+int64(t.months), int64(s.days)+int64(t.days), us)
}

func (s span) sub(t span) (span, error) {
	us, ok, _ := intOps["-"](s.us, t.us)
	if !ok {
		return s, errInterval()
	}
	return makeSpan(int64(s.months)-int64(t.months), int64(s.days)-int64(t.days), us)
}

// roundMicro drops what floating point adds below a millionth.
func roundMicro(f float64) float64 { return math.RoundToEven(f*1e6) / 1e6 }

// scale multiplies: what is left of months goes into days, and what is left of
// days into the time.
func (s span) scale(by func(x float64) float64) (span, error) {
	months, days := by(float64(s.months)), by(float64(s.days))
	wholeMonths, wholeDays := math.Trunc(months), math.Trunc(days)
	more := roundMicro((months - wholeMonths) * 30)
	seconds := roundMicro((days - wholeDays + more - math.Trunc(more)) * 86400)
	if math.Abs(seconds) >= 86400 {
		wholeDays += math.Trunc(seconds / 86400)
		seconds -= math.Trunc(seconds/86400) * 86400
	}
	wholeDays += math.Trunc(more)
	us := math.RoundToEven(by(float64(s.us)) + seconds*1e6)
	if !(math.Abs(wholeMonths) < 1<<31 && math.Abs(wholeDays) < 1<<31 && math.Abs(us) < 1<<63) {
		return s, errInterval()
	}
	return makeSpan(int64(wholeMonths), int64(wholeDays), int64(us))
}

// addSpan moves an instant: by months, keeping the day of the month where that
// exists, then by days, then by the time.
func addSpan(us int64, s span) (int64, error) {
	days, rest := splitInstant(us)
	if s.months != 0 {
		c := civilOf(days)
		m := int64(c.year)*12 + int64(c.month-1) + int64(s.months)
		c.year, c.month = int(floorDiv(m, 12)), int(m-floorDiv(m, 12)*12)+1
		c.day = min(c.day, daysInMonth(c.year, c.month))
		days = daysOf(c)
	}
	midnight, err := dayInstant(days + int64(s.days))
	if err != nil {
		return 0, err
	}
	at, ok, _ := intOps["+"](midnight+rest, s.us)
	if !ok {
		return 0, errRange(wire.Timestamp)
	}
	return checkInstant(at)
}

// between is a - b in days and time of one sign.
func between(a, b int64) span {
	us := a - b
	return span{days: int32(us / usPerDay), us: us % usPerDay}
}

// age is a - b in years, months and days as people count them.
func age(a, b int64) (span, error) {
	sign := int64(1)
	early, late := b, a
	if a < b {
		sign, early, late = -1, a, b
	}
	d1, us1 := splitInstant(late)
	d2, us2 := splitInstant(early)
	c1, c2 := civilOf(d1), civilOf(d2)
	us, days := us1-us2, int64(c1.day-c2.day)
	months := int64(c1.year-c2.year)*12 + int64(c1.month-c2.month)
	if us < 0 {
		us += usPerDay
		days--
	}
	// The days that are borrowed are those of the earlier month.
	for days < 0 {
		days += int64(daysInMonth(c2.year, c2.month))
		months--
	}
	return makeSpan(sign*months, sign*days, sign*us)
}

func (s span) justifyHours() (span, error) {
	days, us := int64(s.days)+s.us/usPerDay, s.us%usPerDay
	switch {
	case days > 0 && us < 0:
		us, days = us+usPerDay, days-1
	case days < 0 && us > 0:
		us, days = us-usPerDay, days+1
	}
	return makeSpan(int64(s.months), days, us)
}

func (s span) justifyDays() (span, error) {
	months, days := int64(s.months)+int64(s.days)/30, int64(s.days)%30
	switch {
	case months > 0 && days < 0:
		days, months = days+30, months-1
	case months < 0 && days > 0:
		days, months = days-30, months+1
	}
	return makeSpan(months, days, s.us)
}

// justify gives all parts one sign.
func (s span) justify() (span, error) {
	days, us := int64(s.days)+s.us/usPerDay, s.us%usPerDay
	months := int64(s.months) + days/30
	days %= 30
	switch {
	case months > 0 && (days < 0 || days == 0 && us < 0):
		days, months = days+30, months-1
	case months < 0 && (days > 0 || days == 0 && us > 0):
		days, months = days-30, months+1
	}
	switch {
	case days > 0 && us < 0:
		us, days = us+usPerDay, days-1
	case days < 0 && us > 0:
		us, days = us-usPerDay, days+1
	}
	return makeSpan(months, days, us)
}

// truncate is date_trunc.
func (s span) truncate(field string) (span, error) {
	years, months := int64(s.months)/12, int64(s.months)%12
	days, us := int64(s.days), s.us
	unit := map[string]int64{"hour": usPerHour, "minute": usPerMinute, "second": usPerSecond, "milliseconds": 1000, "microseconds": 1}
	name := fieldNames[strings.ToLower(field)]
	switch name {
	case "millennium", "century", "decade":
		n := map[string]int64{"millennium": 1000, "century": 100, "decade": 10}[name]
		years, months, days, us = years/n*n, 0, 0, 0
	case "year":
		months, days, us = 0, 0, 0
	case "quarter":
		months, days, us = 3*(months/3), 0, 0
	case "month":
		days, us = 0, 0
	case "day":
		us = 0
	default:
		n := unit[name]
		if n == 0 {
			return s, errField(field, Interval, name != "")
		}
		us -= us % n
	}
	return makeSpan(years*12+months, days, us)
}

// extract gives a field with the scale that PostgreSQL gives it.
func (s span) extract(field string) (*decimal, error) {
	years, months := int64(s.months)/12, int64(s.months)%12
	name := fieldNames[strings.ToLower(field)]
	switch name {
	case "millennium":
		return decimalOfInt(years / 1000), nil
	case "century":
		return decimalOfInt(years / 100), nil
	case "decade":
		return decimalOfInt(years / 10), nil
	case "year":
		return decimalOfInt(years), nil
	case "quarter":
		return decimalOfInt(months/3 + 1), nil
	case "month":
		return decimalOfInt(months), nil
	case "day":
		return decimalOfInt(int64(s.days)), nil
	case "hour":
		return decimalOfInt(s.us / usPerHour), nil
	case "epoch":
		// A year has 365.25 days here.
		quarters := years*1461 + months*120 + int64(s.days)*4
		return addDecimal(decimalOfInt(quarters*21600), scaled(s.us, 6)), nil
	}
	if d := clockField(name, s.us); d != nil {
		return d, nil
	}
	return nil, errField(field, Interval, name != "")
}

// AddInterval moves a moment, in microseconds since 1970, by an interval as in
// '90 days'.
func AddInterval(us int64, text string) (int64, error) {
	s, err := parseSpan(text)
	if err != nil {
		return 0, err
	}
	return addSpan(us, s)
}
