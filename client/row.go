package client

import (
	"errors"
	"strconv"
	"time"

	"github.com/kalamdb/kalam-go/wire"
)

// columns are shared by the rows of a result.
type columns struct{ fields []wire.Field }

func (c *columns) index(name string) int {
	if c == nil {
		return -1
	}
	for i := range c.fields {
		if c.fields[i].Name == name {
			return i
		}
	}
	return -1
}

// Row is one row. It does not change and may be kept.
type Row struct {
	columns *columns
	values  []wire.Value
}

// Len is the number of cells.
func (r Row) Len() int { return len(r.values) }

// Columns describes the cells.
func (r Row) Columns() []wire.Field {
	if r.columns == nil {
		return nil
	}
	return r.columns.fields
}

// At returns the cell at an index.
func (r Row) At(i int) wire.Value { return r.values[i] }

// Lookup returns the cell of a column, and whether the row has it.
func (r Row) Lookup(column string) (wire.Value, bool) {
	i := r.columns.index(column)
	if i < 0 {
		return wire.Null, false
	}
	return r.values[i], true
}

// Value returns the cell of a column; NULL when the row does not have it.
func (r Row) Value(column string) wire.Value {
	v, _ := r.Lookup(column)
	return v
}

// IsNull reports whether a column is NULL or not there.
func (r Row) IsNull(column string) bool { return r.Value(column).IsNull() }

// Int returns an integer; 0 for NULL and anything else.
func (r Row) Int(column string) int64 { return r.Value(column).Int() }

// Float returns a number; 0 for NULL and anything else.
func (r Row) Float(column string) float64 { return r.Value(column).Float() }

// Bool returns a boolean; false for NULL and anything else.
func (r Row) Bool(column string) bool { return r.Value(column).Bool() }

// Bytes returns the bytes of a BYTES cell; nil for NULL and anything else.
func (r Row) Bytes(column string) []byte { return r.Value(column).Bytes() }

// Text returns a cell as text: a DECIMAL with all its digits, a time in RFC
// 3339; "" for NULL.
func (r Row) Text(column string) string {
	i := r.columns.index(column)
	if i < 0 {
		return ""
	}
	return cellText(r.columns.fields[i].Type, r.values[i])
}

// Time returns a TIMESTAMP, DATETIME or DATE in UTC; the zero time for NULL and
// anything else.
func (r Row) Time(column string) time.Time {
	i := r.columns.index(column)
	if i < 0 {
		return time.Time{}
	}
	t, _ := cellTime(r.columns.fields[i].Type, r.values[i])
	return t
}

// Scan copies the cells into variables, in the order of the columns: pointers
// to integers, floats, bool, string, []byte, []float32, time.Time,
// time.Duration, wire.Value, or to pointers of these for what may be NULL. In
// native builds a single pointer to a struct takes the columns that its fields
// name by `db:"name"` tags.
func (r Row) Scan(dest ...any) error {
	if len(dest) == 1 {
		if done, err := scanStruct(r, dest[0]); done {
			return err
		}
	}
	if len(dest) != len(r.values) {
		return errors.New("scan: the row has " + itoa(len(r.values)) + " cells, not " + itoa(len(dest)))
	}
	for i, d := range dest {
		f := &r.columns.fields[i]
		err := errNilPointer
		if !isNilPointer(d) {
			err = assign(d, f.Type, r.values[i])
		}
		if err != nil {
			return &failure{text: "scan column " + f.Name, cause: err}
		}
	}
	return nil
}

// String returns the row as text, for logs: {id: 1, title: "milk", done: NULL}.
func (r Row) String() string { return string(r.appendTo(nil)) }

func (r Row) appendTo(b []byte) []byte {
	b = append(b, '{')
	for i, v := range r.values {
		if i > 0 {
			b = append(b, ", "...)
		}
		f := &r.columns.fields[i]
		b = append(append(b, f.Name...), ": "...)
		switch text := cellText(f.Type, v); {
		case v.IsNull():
			b = append(b, "NULL"...)
		case v.Tag() == wire.TagText && f.Type.Kind != wire.Decimal && f.Type.Kind != wire.UUID:
			b = strconv.AppendQuote(b, text)
		case v.Tag() == wire.TagBytes && f.Type.Kind != wire.Embedding:
			b = append(b, v.String()...)
		default:
			b = append(b, text...)
		}
	}
	return append(b, '}')
}

func appendRows(b []byte, rows []Row) []byte {
	b = append(b, '[')
	for i, r := range rows {
		if i > 0 {
			b = append(b, ' ')
		}
		b = r.appendTo(b)
	}
	return append(b, ']')
}

// cellText writes a cell for people.
func cellText(t wire.Type, v wire.Value) string {
	switch v.Tag() {
	case wire.TagNull:
		return ""
	case wire.TagText:
		return v.Text()
	case wire.TagInt:
		switch t.Kind {
		case wire.Timestamp, wire.DateTime:
			at, _ := cellTime(t, v)
			return at.Format("2006-01-02T15:04:05.999999Z07:00")
		case wire.Date:
			at, _ := cellTime(t, v)
			return at.Format("2006-01-02")
		case wire.Time:
			if v.Int() == 24*time.Hour.Microseconds() {
				return "24:00:00"
			}
			return time.UnixMicro(v.Int()).UTC().Format("15:04:05.999999")
		}
	case wire.TagFloat:
		bits := 64
		if t.Kind == wire.Float {
			bits = 32
		}
		return strconv.FormatFloat(v.Float(), 'g', -1, bits)
	}
	return string(wire.AppendCell(nil, wire.Type{Kind: unquoted(t.Kind)}, v))
}

// unquoted gives a kind whose cells are written without quotes.
func unquoted(k wire.Kind) wire.Kind {
	if k == wire.Embedding {
		return k
	}
	return wire.Int
}

// cellTime reads a TIMESTAMP, DATETIME or DATE.
func cellTime(t wire.Type, v wire.Value) (time.Time, bool) {
	if v.Tag() != wire.TagInt {
		return time.Time{}, false
	}
	switch t.Kind {
	case wire.Timestamp, wire.DateTime:
		return time.UnixMicro(v.Int()).UTC(), true
	case wire.Date:
		return time.Unix(v.Int()*86400, 0).UTC(), true
	}
	return time.Time{}, false
}
