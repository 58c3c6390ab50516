package client

import (
	"errors"
	"math"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/kalamdb/kalam-go/wire"
)

// toParams makes parameters of arguments.
func toParams(args []any) ([]wire.Value, error) {
	if len(args) == 0 {
		return nil, nil
	}
	out := make([]wire.Value, len(args))
	for i, a := range args {
		v, err := toValue(a)
		if err == nil && !utf8.ValidString(v.Text()) {
			err = errNotText
		}
		if err != nil {
			return nil, &failure{text: "argument $" + itoa(i+1), cause: err}
		}
		out[i] = v
	}
	return out, nil
}

var errNotText = errors.New("the text is not UTF-8; pass bytes as []byte")

// toValue makes a parameter of an argument. What is not a plain type of Go is
// with reflectValue.
func toValue(a any) (wire.Value, error) {
	switch x := a.(type) {
	case nil:
		return wire.Null, nil
	case wire.Value:
		return x, nil
	case string:
		return wire.TextValue(x), nil
	case bool:
		return wire.BoolValue(x), nil
	case int:
		return wire.IntValue(int64(x)), nil
	case int64:
		return wire.IntValue(x), nil
	case float64:
		return floatValue(x, 64)
	}
	return reflectValue(a)
}

// floatValue makes a parameter of a number with so many bits: 0.1 stays 0.1.
func floatValue(f float64, bits int) (wire.Value, error) {
	if math.IsNaN(f) || math.IsInf(f, 0) {
		return wire.Null, errors.New(strconv.FormatFloat(f, 'g', -1, 64) + " is not a number that SQL knows")
	}
	if bits == 32 {
		f, _ = strconv.ParseFloat(strconv.FormatFloat(f, 'g', -1, 32), 64)
	}
	return wire.FloatValue(f), nil
}

var errNilPointer = errors.New("the pointer is nil")

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
		if err == nil && math.IsInf(float64(*d), 0) {
			err = errors.New("the number " + strconv.FormatFloat(f, 'g', -1, 64) + " does not fit the variable")
		}
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
		whole, fraction, _ := strings.Cut(v.Text(), ".")
		var err error
		if n, err = strconv.ParseInt(whole, 10, 64); err != nil || strings.Trim(fraction, "0") != "" {
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
