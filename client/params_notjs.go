//go:build !js

package client

import (
	"database/sql/driver"
	"encoding"
	"encoding/json"
	"errors"
	"math"
	"reflect"
	"strconv"
	"strings"
	"time"

	"github.com/kalamdb/kalam-go/wire"
)

// reflectValue converts a value that is not of a basic Go type to a parameter. A
// type that defines its own conversion comes first: driver.Valuer, encoding.TextMarshaler,
// json.Marshaler.
func reflectValue(a any) (wire.Value, error) {
	v := reflect.ValueOf(a)
	if v.Kind() == reflect.Pointer && v.IsNil() {
		return wire.Null, nil
	}
	if value, valid, ok := nullOf(v); ok {
		if !valid.Bool() {
			return wire.Null, nil
		}
		return toValue(value.Interface())
	}
	switch x := a.(type) {
	case time.Time:
		return wire.TextValue(timeText(x)), nil
	case time.Duration:
		return wire.TextValue(durationText(x)), nil
	case wire.FileRef:
		return wire.TextValue(string(wire.AppendFileRef(nil, &x))), nil
	case json.RawMessage:
		if x == nil {
			return wire.Null, nil
		}
		return wire.TextValue(string(x)), nil
	case *time.Time, *json.RawMessage, *wire.FileRef, *time.Duration:
		return toValue(v.Elem().Interface())
	case driver.Valuer:
		value, err := x.Value()
		if err != nil {
			return wire.Null, err
		}
		if reflect.TypeOf(value) == v.Type() {
			return wire.Null, errors.New("its Value method returns the same type")
		}
		return toValue(value)
	case encoding.TextMarshaler:
		text, err := x.MarshalText()
		return wire.TextValue(string(text)), err
	case json.Marshaler:
		return jsonValue(x)
	}
	switch v.Kind() {
	case reflect.Pointer:
		return toValue(v.Elem().Interface())
	case reflect.String:
		return wire.TextValue(v.String()), nil
	case reflect.Bool:
		return wire.BoolValue(v.Bool()), nil
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		return wire.IntValue(v.Int()), nil
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		if n := v.Uint(); n > math.MaxInt64 {
			return wire.TextValue(strconv.FormatUint(n, 10)), nil
		}
		return wire.IntValue(int64(v.Uint())), nil
	case reflect.Float32, reflect.Float64:
		return floatValue(v.Float(), v.Type().Bits())
	case reflect.Slice, reflect.Map:
		if v.IsNil() {
			return wire.Null, nil
		}
		if v.Kind() == reflect.Slice && v.Type().Elem().Kind() == reflect.Uint8 {
			return wire.BytesValue(v.Bytes()), nil
		}
		return jsonValue(a)
	case reflect.Array:
		if v.Type().Elem().Kind() == reflect.Uint8 {
			b := make([]byte, v.Len())
			reflect.Copy(reflect.ValueOf(b), v)
			return wire.BytesValue(b), nil
		}
		return jsonValue(a)
	case reflect.Struct:
		if isTime(v.Type()) {
			return toValue(v.Convert(reflect.TypeFor[time.Time]()).Interface())
		}
		for _, f := range reflect.VisibleFields(v.Type()) {
			if f.IsExported() {
				return jsonValue(a)
			}
		}
	}
	return wire.Null, errors.New("a " + v.Type().String() + " is no value")
}

// nullOf takes a sql.Null apart, whose own methods turn a time.Duration into a
// number.
func nullOf(v reflect.Value) (value, valid reflect.Value, ok bool) {
	if v.Kind() != reflect.Struct || v.Type().PkgPath() != "database/sql" || !strings.HasPrefix(v.Type().Name(), "Null[") {
		return value, valid, false
	}
	return v.FieldByName("V"), v.FieldByName("Valid"), true
}

func jsonValue(a any) (wire.Value, error) {
	text, err := json.Marshal(a)
	return wire.TextValue(string(text)), err
}

// timeText writes a time with its own offset, so that a DATE and a TIME store
// the date and the clock that the program sees. Old zones have seconds.
func timeText(t time.Time) string {
	layout := "2006-01-02T15:04:05.999999Z07:00"
	if _, offset := t.Zone(); offset%60 != 0 {
		layout += ":00"
	}
	return t.Format(layout)
}

// durationText writes a duration as both TIME and INTERVAL read it, with the
// precision of a microsecond.
func durationText(d time.Duration) string {
	sign, micros := "", d.Microseconds()
	if micros < 0 {
		sign, micros = "-", -micros
	}
	seconds := micros / 1e6
	two := func(n int64) string { return strconv.Itoa(int(n/10)) + strconv.Itoa(int(n%10)) }
	text := sign + two(seconds/3600) + ":" + two(seconds/60%60) + ":" + two(seconds%60)
	if fraction := micros % 1e6; fraction > 0 {
		text += "." + strconv.Itoa(int(1e6 + fraction))[1:]
	}
	return text
}
