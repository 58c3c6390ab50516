package expr

import (
	"strings"

	"github.com/kalamdb/kalam-go/wire"
)

var timeFunctions = makeTimeFunctions()

func makeTimeFunctions() []*function {
	var list []*function
	add := func(name string, result wire.Kind, eval func(a []wire.Value) (wire.Value, error), args ...wire.Kind) {
		list = append(list, &function{name: name, args: args, result: result, eval: eval})
	}
	for _, k := range []wire.Kind{wire.Date, wire.Timestamp, wire.DateTime, wire.Time} {
		add("extract", wire.Decimal, func(a []wire.Value) (wire.Value, error) {
			d, err := extract(a[0].Text(), a[1].Int(), k)
			if err != nil {
				return wire.Null, err
			}
			return d.value(), nil
		}, wire.Text, k)
		add("date_part", wire.Double, func(a []wire.Value) (wire.Value, error) {
			d, err := extract(a[0].Text(), a[1].Int(), k)
			if err != nil {
				return wire.Null, err
			}
			return wire.FloatValue(d.float()), nil
		}, wire.Text, k)
	}
	for _, k := range []wire.Kind{wire.Timestamp, wire.DateTime} {
		add("date_trunc", k, func(a []wire.Value) (wire.Value, error) {
			return intResult(truncate(a[0].Text(), a[1].Int()))
		}, wire.Text, k)
	}
	add("to_timestamp", wire.DateTime, func(a []wire.Value) (wire.Value, error) {
		us := a[0].Float() * 1e6
		if !(us > float64(minUS) && us < float64(maxUS)) {
			return wire.Null, errRange(wire.Timestamp)
		}
		v, err := floatToInt(us, wire.BigInt)
		return v, err
	}, wire.Double)
	add("make_date", wire.Date, func(a []wire.Value) (wire.Value, error) {
		return intResult(makeDate(a))
	}, wire.Int, wire.Int, wire.Int)
	return list
}

// fieldNames maps the spellings of a field to one.
var fieldNames = map[string]string{
	"year": "year", "years": "year", "y": "year", "month": "month", "months": "month", "mon": "month",
	"day": "day", "days": "day", "d": "day", "hour": "hour", "hours": "hour", "h": "hour",
	"minute": "minute", "minutes": "minute", "min": "minute", "m": "minute",
	"second": "second", "seconds": "second", "sec": "second", "s": "second",
	"millisecond": "milliseconds", "milliseconds": "milliseconds", "ms": "milliseconds",
	"microsecond": "microseconds", "microseconds": "microseconds", "us": "microseconds",
	"epoch": "epoch", "dow": "dow", "isodow": "isodow", "doy": "doy", "week": "week", "quarter": "quarter",
	"decade": "decade", "century": "century", "millennium": "millennium", "isoyear": "isoyear",
	"timezone": "timezone", "julian": "julian",
}

func scaled(n int64, scale int) *decimal {
	d := decimalOfInt(n)
	d.scale = scale
	return d
}

// extract gives a field with the scale that PostgreSQL gives it.
func extract(field string, n int64, k wire.Kind) (*decimal, error) {
	name := fieldNames[strings.ToLower(field)]
	if name == "" {
		return nil, errField(field, k, false)
	}
	days, us := n, int64(0)
	switch k {
	case wire.Time:
		days, us = 0, n
	case wire.Timestamp, wire.DateTime:
		days, us = splitInstant(n)
	}
	if k != wire.Date {
		if d := clockField(name, us); d != nil {
			return d, nil
		}
	}
	if name == "epoch" {
		switch k {
		case wire.Date:
			return decimalOfInt(days * 86400), nil
		case wire.Time:
			return scaled(us, 6), nil
		}
		return scaled(n, 6), nil
	}
	if name == "timezone" && k == wire.DateTime {
		return decimalOfInt(0), nil
	}
	if k != wire.Time {
		if v, ok := dateField(name, days); ok {
			return decimalOfInt(v), nil
		}
	}
	return nil, errField(field, k, true)
}

func errField(field string, k wire.Kind, known bool) *wire.Error {
	what := `" not recognized for type `
	if known {
		what = `" not supported for type `
	}
	return wire.NewError(wire.CodeInvalidParameter, `unit "`, cut(field), what, TypeName(typeOf(k)))
}

func clockField(name string, us int64) *decimal {
	switch name {
	case "hour":
		return decimalOfInt(us / usPerHour)
	case "minute":
		return decimalOfInt(us / usPerMinute % 60)
	case "second":
		return scaled(us%usPerMinute, 6)
	case "milliseconds":
		return scaled(us%usPerMinute, 3)
	case "microseconds":
		return decimalOfInt(us % usPerMinute)
	}
	return nil
}

func dateField(name string, days int64) (int64, bool) {
	c := civilOf(days)
	year := int64(c.year)
	// There is no year 0 among people: 1 BC is -1.
	shown := year
	if year <= 0 {
		shown--
	}
	switch name {
	case "year":
		return shown, true
	case "month":
		return int64(c.month), true
	case "day":
		return int64(c.day), true
	case "quarter":
		return int64(c.month-1)/3 + 1, true
	case "doy":
		return days - daysOf(civil{c.year, 1, 1}) + 1, true
	case "dow":
		return weekday(days) % 7, true
	case "isodow":
		return weekday(days), true
	case "week":
		week, _ := isoWeek(days)
		return week, true
	case "isoyear":
		_, y := isoWeek(days)
		if y <= 0 {
			y--
		}
		return y, true
	case "decade":
		return floorDiv(year, 10), true
	case "century":
		return period(shown, 100), true
	case "millennium":
		return period(shown, 1000), true
	case "julian":
		return days + 2440588, true
	}
	return 0, false
}

func period(year, length int64) int64 {
	if year > 0 {
		return (year + length - 1) / length
	}
	return -((length - 1 - year) / length)
}

// weekday is 1 for Monday to 7 for Sunday.
func weekday(days int64) int64 { return days + 3 - 7*floorDiv(days+3, 7) + 1 }

// isoWeek is the week that holds the Thursday of the day's week.
func isoWeek(days int64) (week, year int64) {
	thursday := days - weekday(days) + 4
	y := civilOf(thursday).year
	return (thursday-daysOf(civil{y, 1, 1}))/7 + 1, int64(y)
}

// truncate is date_trunc.
func truncate(field string, n int64) (int64, error) {
	name := fieldNames[strings.ToLower(field)]
	days, us := splitInstant(n)
	c := civilOf(days)
	switch name {
	case "microseconds":
		return n, nil
	case "milliseconds":
		us -= us % 1000
	case "second":
		us -= us % usPerSecond
	case "minute":
		us -= us % usPerMinute
	case "hour":
		us -= us % usPerHour
	case "day":
		us = 0
	case "week":
		days, us = days-weekday(days)+1, 0
	case "month", "quarter", "year", "decade", "century", "millennium":
		days, us = daysOf(truncateDate(name, c)), 0
	default:
		return 0, wire.NewError(wire.CodeInvalidParameter, `unit "`, cut(field), `" not recognized by date_trunc`)
	}
	midnight, err := dayInstant(days)
	if err != nil {
		return 0, err
	}
	return midnight + us, nil
}

func truncateDate(name string, c civil) civil {
	c.day = 1
	switch name {
	case "quarter":
		c.month -= (c.month - 1) % 3
	case "year":
		c.month = 1
	case "decade":
		c.month, c.year = 1, int(floorDiv(int64(c.year), 10)*10)
	case "century":
		c.month, c.year = 1, int(floorDiv(int64(c.year)-1, 100)*100+1)
	case "millennium":
		c.month, c.year = 1, int(floorDiv(int64(c.year)-1, 1000)*1000+1)
	}
	return c
}
