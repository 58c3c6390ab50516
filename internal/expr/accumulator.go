package expr

import (
	"cmp"
	"maps"
	"math"
	"math/bits"
	"slices"
	"strings"

	"github.com/cockroachdb/apd/v3"

	"github.com/kalamdb/kalam-go/wire"
)

// Aggregate is an aggregate function that the driver registers.
type Aggregate struct {
	Name   string
	Args   []wire.Type
	Result wire.Type
	New    func(c *Calls) Accumulator
}

// Accumulator computes one aggregate over one group or frame. Final may come
// without a Step, and more than once.
type Accumulator interface {
	Step(args []wire.Value) error
	// Inverse takes back the oldest Step, where a frame moves.
	Inverse(args []wire.Value) error
	Final() (wire.Value, error)
	// End is called when no more calls come.
	End()
}

// accumulator is an Accumulator of Go's forms of values. The first argument is
// not NULL unless the aggregation says so.
type accumulator interface {
	step(a []wire.Value) error
	final() (wire.Value, error)
}

// inverter is an accumulator that can take a row back.
type inverter interface {
	accumulator
	inverse(a []wire.Value)
}

// Aggregates lists what the driver registers for the output of a Printer for t.
func Aggregates(t Target) []Aggregate {
	var out []Aggregate
	for _, a := range append([]*aggregation{textSet}, aggregations...) {
		if t.Aggregate(a.callee()) != "" {
			continue
		}
		args := []wire.Type{engineType(a.arg)}
		for _, k := range a.rest {
			args = append(args, engineType(k))
		}
		for _, moving := range []bool{false, true} {
			out = append(out, Aggregate{Name: a.registered(moving), Args: args, Result: engineType(a.result), New: func(c *Calls) Accumulator {
				e := &engineAccumulator{acc: a.new(), a: a, calls: c}
				if _, ok := e.acc.(inverter); moving && !ok {
					e.acc = &frame{new: a.new}
				}
				return e
			}})
		}
	}
	return out
}

// engineAccumulator translates the engine's forms of DECIMAL.
type engineAccumulator struct {
	acc   accumulator
	a     *aggregation
	calls *Calls
	held  int // bytes charged for what acc holds
}

// holder is an accumulator that holds more the more values it has seen.
type holder interface {
	holds() int // bytes, roughly
}

// charge keeps the charge in step with what the accumulator holds.
func (e *engineAccumulator) charge() error {
	h, ok := e.acc.(holder)
	if !ok {
		return e.calls.Budget.Spend(1)
	}
	more := h.holds() - e.held
	if more < smallBytes && more > -smallBytes {
		return e.calls.Budget.Spend(1)
	}
	e.held += more
	if more < 0 {
		e.calls.Budget.Refund(-more)
		return nil
	}
	return e.calls.Budget.Charge(more)
}

func (e *engineAccumulator) values(args []wire.Value) ([]wire.Value, error) {
	if args[0].IsNull() && !e.a.nulls {
		return nil, nil
	}
	var err error
	if args[0], err = fromEngine(args[0], e.a.arg); err != nil {
		return nil, err
	}
	return args, nil
}

func (e *engineAccumulator) Step(args []wire.Value) error {
	args, err := e.values(args)
	if err != nil || args == nil {
		return err
	}
	if err := e.acc.step(args); err != nil {
		return err
	}
	return e.charge()
}

func (e *engineAccumulator) Inverse(args []wire.Value) error {
	args, err := e.values(args)
	if err != nil || args == nil {
		return err
	}
	i, ok := e.acc.(inverter)
	if !ok {
		return wire.NewError(wire.CodeInternal, e.a.name, " cannot take a row back")
	}
	i.inverse(args)
	return e.charge()
}

func (e *engineAccumulator) End() {
	e.calls.Budget.Refund(e.held)
	e.held = 0
}

func (e *engineAccumulator) Final() (wire.Value, error) {
	// The result is made beside what it is made of.
	if err := e.calls.Budget.Charge(2 * e.held); err != nil {
		return wire.Null, err
	}
	defer e.calls.Budget.Refund(2 * e.held)
	v, err := e.acc.final()
	if err != nil {
		return wire.Null, err
	}
	return toEngine(v, e.a.result), nil
}

// frame computes an aggregate anew for each frame, as PostgreSQL does where
// taking a row back would not be exact.
type frame struct {
	new  func() accumulator
	rows [][]wire.Value
	size int // of the rows in memory, roughly
}

func (f *frame) step(a []wire.Value) error {
	f.rows = append(f.rows, slices.Clone(a))
	f.size += rowSize(a)
	return heldWithin(f.size)
}

func (f *frame) holds() int { return f.size }

func (f *frame) inverse([]wire.Value) {
	f.size -= rowSize(f.rows[0])
	f.rows = f.rows[1:]
}

func rowSize(row []wire.Value) int {
	n := 24
	for _, v := range row {
		n += 32 + len(v.Raw())
	}
	return n
}

// heldWithin refuses that an aggregate holds too much in memory.
func heldWithin(bytes int) error {
	if bytes > 4*maxText {
		return wire.NewError(wire.CodeResultTooLarge, "the values of one aggregate take more than 256 MiB; aggregate fewer rows with a narrower WHERE or frame")
	}
	return nil
}

func (f *frame) final() (wire.Value, error) {
	acc := f.new()
	for _, a := range f.rows {
		if err := acc.step(a); err != nil {
			return wire.Null, err
		}
	}
	return acc.final()
}

// intSum is sum and avg of integers. The sum has 128 bits, which the rows of no
// table fill.
type intSum struct {
	high int64
	low  uint64
	n    int64
	mean bool
}

func newIntSum(mean bool) func() accumulator {
	return func() accumulator { return &intSum{mean: mean} }
}

func (s *intSum) step(a []wire.Value) error {
	v := a[0].Int()
	low, carry := bits.Add64(s.low, uint64(v), 0)
	s.low, s.high = low, s.high+v>>63+int64(carry)
	s.n++
	return nil
}

func (s *intSum) inverse(a []wire.Value) {
	v := a[0].Int()
	low, borrow := bits.Sub64(s.low, uint64(v), 0)
	s.low, s.high = low, s.high-v>>63-int64(borrow)
	s.n--
}

func (s *intSum) final() (wire.Value, error) {
	if s.n == 0 {
		return wire.Null, nil
	}
	d := decimalOfInt(s.high)
	d.c.Lsh(&d.c, 64)
	d.c.Add(&d.c, new(apd.BigInt).SetUint64(s.low))
	return meanOf(d, s.n, s.mean)
}

// meanOf is the sum itself, or the mean of the n values that it is the sum of.
func meanOf(sum *decimal, n int64, mean bool) (wire.Value, error) {
	if mean {
		var err error
		if sum, err = divDecimal(sum, decimalOfInt(n)); err != nil {
			return wire.Null, err
		}
	}
	return sum.result()
}

// decimalSum is sum and avg of DECIMALs.
type decimalSum struct {
	sum    *decimal
	n      int64
	scales map[int]int64 // how many values have a scale
	mean   bool
}

func newDecimalSum(mean bool) func() accumulator {
	return func() accumulator {
		return &decimalSum{sum: &decimal{}, scales: map[int]int64{}, mean: mean}
	}
}

func (s *decimalSum) step(a []wire.Value) error {
	d := mustDecimal(a[0])
	s.sum = addDecimal(s.sum, d)
	s.n++
	s.scales[d.scale]++
	return nil
}

func (s *decimalSum) inverse(a []wire.Value) {
	d := mustDecimal(a[0])
	s.sum = subDecimal(s.sum, d)
	s.n--
	if s.scales[d.scale]--; s.scales[d.scale] == 0 {
		delete(s.scales, d.scale)
	}
}

// final gives the sum the largest scale among the values that are left.
func (s *decimalSum) final() (wire.Value, error) {
	if s.n == 0 {
		return wire.Null, nil
	}
	scale := 0
	for k := range s.scales {
		scale = max(scale, k)
	}
	d := s.sum
	if d.scale != scale {
		d = d.rescale(scale, down)
	}
	return meanOf(d, s.n, s.mean)
}

// floatSum is sum and avg of FLOAT and DOUBLE.
type floatSum struct {
	sum  float64
	n    int64
	kind wire.Kind
	mean bool
}

func newFloatSum(mean bool, kind wire.Kind) func() accumulator {
	return func() accumulator { return &floatSum{kind: kind, mean: mean} }
}

func (s *floatSum) step(a []wire.Value) error {
	f, err := finite(s.sum+a[0].Float(), s.kind)
	if err != nil {
		return err
	}
	s.sum = f.Float()
	s.n++
	return nil
}

func (s *floatSum) final() (wire.Value, error) {
	switch {
	case s.n == 0:
		return wire.Null, nil
	case s.mean:
		return wire.FloatValue(s.sum / float64(s.n)), nil
	}
	return wire.FloatValue(s.sum), nil
}

// spread is a variance or standard deviation.
type spread struct {
	name   string
	sample bool
	root   bool
}

var spreads = []spread{
	{"stddev", true, true}, {"stddev_samp", true, true}, {"stddev_pop", false, true},
	{"variance", true, false}, {"var_samp", true, false}, {"var_pop", false, false},
}

// least is the number of values below which there is no result.
func (s spread) least() int64 {
	if s.sample {
		return 2
	}
	return 1
}

// decimalSpread is exact but for the last division and root.
type decimalSpread struct {
	spread
	ints         bool
	sum, squares *decimal
	n            int64
}

func newDecimalSpread(s spread, ints bool) func() accumulator {
	return func() accumulator {
		return &decimalSpread{spread: s, ints: ints, sum: &decimal{}, squares: &decimal{}}
	}
}

func (s *decimalSpread) step(a []wire.Value) error {
	d := decimalOfInt(a[0].Int())
	if !s.ints {
		d = mustDecimal(a[0])
	}
	s.sum, s.squares = addDecimal(s.sum, d), addDecimal(s.squares, mulDecimal(d, d))
	s.n++
	return nil
}

func (s *decimalSpread) final() (wire.Value, error) {
	if s.n < s.least() {
		return wire.Null, nil
	}
	n := decimalOfInt(s.n)
	above := subDecimal(mulDecimal(n, s.squares), mulDecimal(s.sum, s.sum))
	if above.c.Sign() <= 0 {
		return wire.TextValue("0"), nil
	}
	below := mulDecimal(n, n)
	if s.sample {
		below = mulDecimal(n, decimalOfInt(s.n-1))
	}
	d, err := divDecimal(above, below)
	if err != nil {
		return wire.Null, err
	}
	if s.root {
		d = rootDecimal(d, d.scale)
	}
	return d.result()
}

// floatSpread is the method of Youngs and Cramer, which PostgreSQL uses.
type floatSpread struct {
	spread
	n, sum, squares float64
}

func newFloatSpread(s spread) func() accumulator {
	return func() accumulator { return &floatSpread{spread: s} }
}

func (s *floatSpread) step(a []wire.Value) error {
	x := a[0].Float()
	s.n++
	s.sum += x
	if s.n > 1 {
		t := x*s.n - s.sum
		s.squares += t * t / (s.n * (s.n - 1))
	}
	if math.IsInf(s.sum, 0) || math.IsInf(s.squares, 0) {
		return wire.NewError(wire.CodeNumericOutOfRange, "value out of range: overflow")
	}
	return nil
}

func (s *floatSpread) final() (wire.Value, error) {
	if s.n < float64(s.least()) {
		return wire.Null, nil
	}
	f := s.squares / s.n
	if s.sample {
		f = s.squares / (s.n - 1)
	}
	if s.root {
		f = math.Sqrt(f)
	}
	return finite(f, wire.Double)
}

// textSetOf joins the different pairs of a text and a separator, in their
// order.
type textSetOf struct {
	seen map[[2]string]bool
	size int // of seen in memory, roughly
}

func (s *textSetOf) step(a []wire.Value) error {
	pair := [2]string{a[0].Text(), a[1].Text()}
	if !s.seen[pair] {
		s.seen[pair] = true
		s.size += rowSize(a)
	}
	return heldWithin(s.size)
}

func (s *textSetOf) holds() int { return s.size }

func (s *textSetOf) final() (wire.Value, error) {
	if len(s.seen) == 0 {
		return wire.Null, nil
	}
	pairs := slices.SortedFunc(maps.Keys(s.seen), func(a, b [2]string) int {
		return cmp.Or(strings.Compare(a[0], b[0]), strings.Compare(a[1], b[1]))
	})
	var b strings.Builder
	for i, p := range pairs {
		if i > 0 {
			b.WriteString(p[1])
		}
		b.WriteString(p[0])
	}
	return bounded(b.String())
}
