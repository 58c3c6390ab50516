package client

import (
	"errors"
	"math"
	"strconv"
	"time"

	"github.com/kalamdb/kalam-go/wire"
)

// toParams makes parameters of arguments.
func toParams(args []any) ([]wire.Value, error) {
	if len(args) == 0 {
		return nil, nil
	}
	out := make([]wire.Value, len(args))
	for i, a := range args {
		v, ok := toValue(a)
		if !ok {
			v, ok = reflectValue(a)
		}
		if !ok {
			return nil, errors.New("argument $" + itoa(i+1) + " has a type that is no parameter")
		}
		out[i] = v
	}
	return out, nil
}

func toValue(a any) (wire.Value, bool) {
	switch x := a.(type) {
	case nil:
		return wire.Null, true
	case wire.Value:
		return x, true
	case string:
		return wire.TextValue(x), true
	case bool:
		return wire.BoolValue(x), true
	case int:
		return wire.IntValue(int64(x)), true
	case int8:
		return wire.IntValue(int64(x)), true
	case int16:
		return wire.IntValue(int64(x)), true
	case int32:
		return wire.IntValue(int64(x)), true
	case int64:
		return wire.IntValue(x), true
	case uint:
		return uintValue(uint64(x)), true
	case uint8:
		return wire.IntValue(int64(x)), true
	case uint16:
		return wire.IntValue(int64(x)), true
	case uint32:
		return wire.IntValue(int64(x)), true
	case uint64:
		return uintValue(x), true
	case float32:
		f, _ := strconv.ParseFloat(strconv.FormatFloat(float64(x), 'g', -1, 32), 64)
		return wire.FloatValue(f), true // 0.1 stays 0.1
	case float64:
		return wire.FloatValue(x), true
	case []byte:
		if x == nil {
			return wire.Null, true
		}
		return wire.BytesValue(x), true
	case []float32:
		if x == nil {
			return wire.Null, true
		}
		return wire.TextValue(string(wire.AppendCell(nil, wire.Type{Kind: wire.Embedding}, wire.EmbeddingValue(x)))), true
	case time.Time:
		return wire.TextValue(x.UTC().Format("2006-01-02T15:04:05.999999Z07:00")), true
	case *string:
		return pointed(x)
	case *int:
		return pointed(x)
	case *int32:
		return pointed(x)
	case *int64:
		return pointed(x)
	case *float64:
		return pointed(x)
	case *bool:
		return pointed(x)
	case *time.Time:
		return pointed(x)
	}
	return wire.Null, false
}

func pointed[T any](p *T) (wire.Value, bool) {
	if p == nil {
		return wire.Null, true
	}
	return toValue(*p)
}

func uintValue(n uint64) wire.Value {
	if n > math.MaxInt64 {
		return wire.TextValue(strconv.FormatUint(n, 10))
	}
	return wire.IntValue(int64(n))
}

var errNull = errors.New("the cell is NULL, scan into a pointer to a pointer")

// assign copies a cell into the variable that dest points at.
func assign(dest any, t wire.Type, v wire.Value) error {
	switch d := dest.(type) {
	case *wire.Value:
		*d = v
		return nil
	case *any:
		*d = natural(t, v)
		return nil
	case *[]byte:
		switch v.Tag() {
		case wire.TagNull:
			*d = nil
		case wire.TagBytes:
			*d = v.Bytes()
		case wire.TagText:
			*d = []byte(v.Text())
		default:
			return mismatch(t)
		}
		return nil
	case *[]float32:
		switch v.Tag() {
		case wire.TagNull:
			*d = nil
		case wire.TagBytes:
			*d = v.Embedding()
		default:
			return mismatch(t)
		}
		return nil
	case **string:
		return nullable(d, t, v)
	case **int:
		return nullable(d, t, v)
	case **int32:
		return nullable(d, t, v)
	case **int64:
		return nullable(d, t, v)
	case **float64:
		return nullable(d, t, v)
	case **bool:
		return nullable(d, t, v)
	case **time.Time:
		return nullable(d, t, v)
	}
	if v.IsNull() {
		if done, err := reflectAssign(dest, t, v); done {
			return err
		}
		return errNull
	}
	switch d := dest.(type) {
	case *string:
		*d = cellText(t, v)
	case *bool:
		if v.Tag() != wire.TagBool {
			return mismatch(t)
		}
		*d = v.Bool()
	case *int:
		return assignInt(d, t, v)
	case *int8:
		return assignInt(d, t, v)
	case *int16:
		return assignInt(d, t, v)
	case *int32:
		return assignInt(d, t, v)
	case *int64:
		return assignInt(d, t, v)
	case *uint:
		return assignInt(d, t, v)
	case *uint8:
		return assignInt(d, t, v)
	case *uint16:
		return assignInt(d, t, v)
	case *uint32:
		return assignInt(d, t, v)
	case *uint64:
		return assignInt(d, t, v)
	case *float64:
		f, err := toFloat(t, v)
		*d = f
		return err
	case *float32:
		f, err := toFloat(t, v)
		*d = float32(f)
		return err
	case *time.Time:
		at, ok := cellTime(t, v)
		if !ok {
			return mismatch(t)
		}
		*d = at
	case *time.Duration:
		if t.Kind != wire.Time || v.Tag() != wire.TagInt {
			return mismatch(t)
		}
		*d = time.Duration(v.Int()) * time.Microsecond
	default:
		if done, err := reflectAssign(dest, t, v); done {
			return err
		}
		return errors.New("the variable has a type that takes no cell")
	}
	return nil
}

func mismatch(t wire.Type) error {
	return errors.New("a cell of type " + t.Kind.String() + " does not fit the variable")
}

func nullable[T any](d **T, t wire.Type, v wire.Value) error {
	if v.IsNull() {
		*d = nil
		return nil
	}
	x := new(T)
	if err := assign(x, t, v); err != nil {
		return err
	}
	*d = x
	return nil
}

type integer interface {
	~int | ~int8 | ~int16 | ~int32 | ~int64 | ~uint | ~uint8 | ~uint16 | ~uint32 | ~uint64
}

func assignInt[T integer](d *T, t wire.Type, v wire.Value) error {
	n := v.Int()
	switch v.Tag() {
	case wire.TagInt:
	case wire.TagText: // a DECIMAL without a fraction
		var err error
		if n, err = strconv.ParseInt(v.Text(), 10, 64); err != nil {
			return mismatch(t)
		}
	default:
		return mismatch(t)
	}
	x := T(n)
	if int64(x) != n || (x < 0) != (n < 0) {
		return errors.New("the number " + strconv.FormatInt(n, 10) + " does not fit the variable")
	}
	*d = x
	return nil
}

func toFloat(t wire.Type, v wire.Value) (float64, error) {
	switch v.Tag() {
	case wire.TagFloat, wire.TagInt:
		return v.Float(), nil
	case wire.TagText:
		if f, err := strconv.ParseFloat(v.Text(), 64); err == nil {
			return f, nil
		}
	}
	return 0, mismatch(t)
}

// natural gives the Go value that is closest to a cell.
func natural(t wire.Type, v wire.Value) any {
	switch v.Tag() {
	case wire.TagBool:
		return v.Bool()
	case wire.TagInt:
		if at, ok := cellTime(t, v); ok {
			return at
		}
		if t.Kind == wire.Time {
			return time.Duration(v.Int()) * time.Microsecond
		}
		return v.Int()
	case wire.TagFloat:
		return v.Float()
	case wire.TagText:
		return v.Text()
	case wire.TagBytes:
		if t.Kind == wire.Embedding {
			return v.Embedding()
		}
		return v.Bytes()
	}
	return nil
}
