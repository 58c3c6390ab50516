package expr

import (
	"math"
	"time"

	"github.com/kalamdb/kalam-go/wire"
)

// intervalOperators are the operators between times and intervals.
var intervalOperators = makeIntervalOperators()

func makeIntervalOperators() []*function {
	var list []*function
	add := func(name string, result wire.Kind, eval func(a []wire.Value) (wire.Value, error), args ...wire.Kind) {
		list = append(list, &function{name: name, args: args, result: result, eval: eval})
	}
	move := func(us int64, s span, back bool) (wire.Value, error) {
		if back {
			var err error
			if s, err = s.neg(); err != nil {
				return wire.Null, err
			}
		}
		return intResult(addSpan(us, s))
	}
	for _, k := range []wire.Kind{wire.Timestamp, wire.DateTime} {
		add("+", k, func(a []wire.Value) (wire.Value, error) { return move(a[0].Int(), spanOf(a[1]), false) }, k, Interval)
		add("+", k, func(a []wire.Value) (wire.Value, error) { return move(a[1].Int(), spanOf(a[0]), false) }, Interval, k)
		add("-", k, func(a []wire.Value) (wire.Value, error) { return move(a[0].Int(), spanOf(a[1]), true) }, k, Interval)
		add("-", Interval, func(a []wire.Value) (wire.Value, error) { return between(a[0].Int(), a[1].Int()).value(), nil }, k, k)
	}
	day := func(days int64, s span, back bool) (wire.Value, error) {
		us, err := dayInstant(days)
		if err != nil {
			return wire.Null, err
		}
		return move(us, s, back)
	}
	add("+", wire.Timestamp, func(a []wire.Value) (wire.Value, error) { return day(a[0].Int(), spanOf(a[1]), false) }, wire.Date, Interval)
	add("+", wire.Timestamp, func(a []wire.Value) (wire.Value, error) { return day(a[1].Int(), spanOf(a[0]), false) }, Interval, wire.Date)
	add("-", wire.Timestamp, func(a []wire.Value) (wire.Value, error) { return day(a[0].Int(), spanOf(a[1]), true) }, wire.Date, Interval)
	add("+", wire.Timestamp, func(a []wire.Value) (wire.Value, error) { return day(a[0].Int(), span{us: a[1].Int()}, false) }, wire.Date, wire.Time)
	add("+", wire.Timestamp, func(a []wire.Value) (wire.Value, error) { return day(a[1].Int(), span{us: a[0].Int()}, false) }, wire.Time, wire.Date)
	clock := func(us, by int64) (wire.Value, error) {
		_, rest := splitInstant(us%usPerDay + by%usPerDay)
		return wire.IntValue(rest), nil
	}
	add("+", wire.Time, func(a []wire.Value) (wire.Value, error) { return clock(a[0].Int(), spanOf(a[1]).us) }, wire.Time, Interval)
	add("+", wire.Time, func(a []wire.Value) (wire.Value, error) { return clock(a[1].Int(), spanOf(a[0]).us) }, Interval, wire.Time)
	add("-", wire.Time, func(a []wire.Value) (wire.Value, error) { return clock(a[0].Int(), -(spanOf(a[1]).us % usPerDay)) }, wire.Time, Interval)
	add("-", Interval, func(a []wire.Value) (wire.Value, error) { return span{us: a[0].Int() - a[1].Int()}.value(), nil }, wire.Time, wire.Time)

	add("+", Interval, func(a []wire.Value) (wire.Value, error) { return spanResult(spanOf(a[0]).add(spanOf(a[1]))) }, Interval, Interval)
	add("-", Interval, func(a []wire.Value) (wire.Value, error) { return spanResult(spanOf(a[0]).sub(spanOf(a[1]))) }, Interval, Interval)
	add("-", Interval, func(a []wire.Value) (wire.Value, error) { return spanResult(spanOf(a[0]).neg()) }, Interval)
	times := func(s span, f float64) (wire.Value, error) {
		return spanResult(s.scale(func(x float64) float64 { return x * f }))
	}
	add("*", Interval, func(a []wire.Value) (wire.Value, error) { return times(spanOf(a[0]), a[1].Float()) }, Interval, wire.Double)
	add("*", Interval, func(a []wire.Value) (wire.Value, error) { return times(spanOf(a[1]), a[0].Float()) }, wire.Double, Interval)
	add("/", Interval, func(a []wire.Value) (wire.Value, error) {
		if a[1].Float() == 0 {
			return wire.Null, errDivision()
		}
		return spanResult(spanOf(a[0]).scale(func(x float64) float64 { return x / a[1].Float() }))
	}, Interval, wire.Double)
	return list
}

var intervalFunctions = makeIntervalFunctions()

func makeIntervalFunctions() []*function {
	var list []*function
	add := func(name string, result wire.Kind, eval func(a []wire.Value) (wire.Value, error), args ...wire.Kind) {
		list = append(list, &function{name: name, args: args, result: result, eval: eval})
	}
	for name, fn := range map[string]func(span) (span, error){
		"justify_hours": span.justifyHours, "justify_days": span.justifyDays, "justify_interval": span.justify,
	} {
		add(name, Interval, func(a []wire.Value) (wire.Value, error) { return spanResult(fn(spanOf(a[0]))) }, Interval)
	}
	add("extract", wire.Decimal, func(a []wire.Value) (wire.Value, error) {
		d, err := spanOf(a[1]).extract(a[0].Text())
		if err != nil {
			return wire.Null, err
		}
		return d.value(), nil
	}, wire.Text, Interval)
	add("date_part", wire.Double, func(a []wire.Value) (wire.Value, error) {
		d, err := spanOf(a[1]).extract(a[0].Text())
		if err != nil {
			return wire.Null, err
		}
		return wire.FloatValue(d.float()), nil
	}, wire.Text, Interval)
	add("date_trunc", Interval, func(a []wire.Value) (wire.Value, error) {
		return spanResult(spanOf(a[1]).truncate(a[0].Text()))
	}, wire.Text, Interval)
	for _, k := range []wire.Kind{wire.Timestamp, wire.DateTime} {
		add("age", Interval, func(a []wire.Value) (wire.Value, error) { return spanResult(age(a[0].Int(), a[1].Int())) }, k, k)
	}
	add("date_trunc", wire.DateTime, func(a []wire.Value) (wire.Value, error) {
		z, err := findZone(a[2].Text())
		if err != nil {
			return wire.Null, err
		}
		local, err := inZone(a[1].Int(), z)
		if err == nil {
			local, err = truncate(a[0].Text(), local)
		}
		if err != nil {
			return wire.Null, err
		}
		return intResult(fromZone(local, z))
	}, wire.Text, wire.DateTime, wire.Text)

	interval := []wire.Kind{wire.Int, wire.Int, wire.Int, wire.Int, wire.Int, wire.Int, wire.Double}
	for n := range len(interval) + 1 {
		add("make_interval", Interval, makeInterval, interval[:n]...)
	}
	instant := []wire.Kind{wire.Int, wire.Int, wire.Int, wire.Int, wire.Int, wire.Double}
	add("make_timestamp", wire.Timestamp, makeTimestamp, instant...)
	add("make_timestamptz", wire.DateTime, makeTimestamp, instant...)
	add("make_time", wire.Time, func(a []wire.Value) (wire.Value, error) { return intResult(makeClock(a)) }, instant[3:]...)

	zoned := func(arg, result wire.Kind, fn func(us int64, z *time.Location) (int64, error)) {
		add("timezone", result, func(a []wire.Value) (wire.Value, error) {
			z, err := findZone(a[0].Text())
			if err != nil {
				return wire.Null, err
			}
			return intResult(fn(a[1].Int(), z))
		}, wire.Text, arg)
		// An interval counts east, unlike an offset in text.
		add("timezone", result, func(a []wire.Value) (wire.Value, error) {
			s := spanOf(a[0])
			if s.months != 0 || s.days != 0 || s.us%usPerSecond != 0 || s.us <= -usPerDay || s.us >= usPerDay {
				return wire.Null, wire.NewError(wire.CodeInvalidParameter, "interval time zone must be an offset of less than a day")
			}
			return intResult(fn(a[1].Int(), time.FixedZone("", int(s.us/usPerSecond))))
		}, Interval, arg)
	}
	zoned(wire.Timestamp, wire.DateTime, fromZone)
	zoned(wire.DateTime, wire.Timestamp, inZone)
	list = append(list, &function{name: "clock_timestamp", result: wire.DateTime, volatile: true,
		eval: func([]wire.Value) (wire.Value, error) { return wire.IntValue(time.Now().UnixMicro()), nil }})
	return list
}

func makeInterval(a []wire.Value) (wire.Value, error) {
	var n [6]int64
	for i := range min(len(a), 6) {
		n[i] = a[i].Int()
	}
	us := n[4]*usPerHour + n[5]*usPerMinute
	if len(a) == 7 {
		f := math.RoundToEven(a[6].Float() * 1e6)
		if math.Abs(f) >= 1<<62 {
			return wire.Null, errInterval()
		}
		us += int64(f)
	}
	return spanResult(makeSpan(n[0]*12+n[1], n[2]*7+n[3], us))
}

// makeClock is the time of hours, minutes and seconds.
func makeClock(a []wire.Value) (int64, error) {
	h, m, s := a[0].Int(), a[1].Int(), a[2].Float()
	us := h*usPerHour + m*usPerMinute + int64(math.RoundToEven(s*1e6))
	if h < 0 || h > 24 || m < 0 || m > 59 || !(s >= 0 && s <= 60) || us > usPerDay {
		return 0, wire.NewError(wire.CodeInvalidText, "time field value out of range")
	}
	return us, nil
}

func makeTimestamp(a []wire.Value) (wire.Value, error) {
	date, err := makeDate(a)
	if err != nil {
		return wire.Null, err
	}
	midnight, err := dayInstant(date)
	if err != nil {
		return wire.Null, err
	}
	us, err := makeClock(a[3:])
	if err != nil {
		return wire.Null, err
	}
	return intResult(checkInstant(midnight + us))
}

func makeDate(a []wire.Value) (int64, error) {
	c := civil{int(a[0].Int()), int(a[1].Int()), int(a[2].Int())}
	if c.year < 0 {
		c.year++
	} else if c.year == 0 {
		c.month = 0
	}
	if c.month < 1 || c.month > 12 || c.day < 1 || c.day > daysInMonth(c.year, c.month) {
		return 0, wire.NewError(wire.CodeInvalidText, "date field value out of range")
	}
	return checkDay(daysOf(c))
}

// bindAge is age with one argument: from the start of today.
func bindAge(b *binder, name string, args []Node) (Node, error) {
	if len(args) == 1 {
		k := wire.Timestamp
		if kindOf(args[0]) == wire.DateTime || kindOf(args[0]) == wire.Date || kindOf(args[0]) == wire.Unknown {
			k = wire.DateTime
		}
		today, err := converted(wire.Date)(b, name, nil)
		if err != nil {
			return nil, err
		}
		if today, err = convert(today, typeOf(k), implicit); err != nil {
			return nil, err
		}
		args = []Node{today, args[0]}
	}
	f, many := choose(functions[name], kindsOf(args))
	if f == nil {
		return nil, errNoFunction(name, args, many)
	}
	return newCall(f, args)
}

// spanSum is sum and avg of intervals.
type spanSum struct {
	sum  span
	n    int64
	mean bool
}

func newSpanSum(mean bool) func() accumulator {
	return func() accumulator { return &spanSum{mean: mean} }
}

func (s *spanSum) step(a []wire.Value) (err error) {
	s.sum, err = s.sum.add(spanOf(a[0]))
	s.n++
	return err
}

func (s *spanSum) final() (wire.Value, error) {
	switch {
	case s.n == 0:
		return wire.Null, nil
	case s.mean:
		return spanResult(s.sum.scale(func(x float64) float64 { return x / float64(s.n) }))
	}
	return s.sum.value(), nil
}
