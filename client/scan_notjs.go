//go:build !js

package client

import (
	"encoding"
	"encoding/json"
	"errors"
	"reflect"
	"sync"
	"time"

	"github.com/kalamdb/kalam-go/wire"
)

// Collect scans rows into values: structs by their `db:"name"` tags, or plain
// variables when the rows have one column.
func Collect[T any](rows []Row) ([]T, error) {
	out := make([]T, len(rows))
	for i, r := range rows {
		if err := r.Scan(&out[i]); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// scanner is what database/sql calls Scanner.
type scanner interface{ Scan(src any) error }

// structFields maps the columns that a struct takes to its fields. It is kept
// by type.
var structFields sync.Map // reflect.Type -> map[string][]int

func fieldsOf(t reflect.Type) map[string][]int {
	if m, ok := structFields.Load(t); ok {
		return m.(map[string][]int)
	}
	m := map[string][]int{}
	for _, f := range reflect.VisibleFields(t) {
		if name, ok := f.Tag.Lookup("db"); ok && f.IsExported() && name != "-" && name != "" {
			m[name] = f.Index
		}
	}
	structFields.Store(t, m)
	return m
}

// scanStruct scans into a struct, and reports whether dest points at one.
func scanStruct(r Row, dest any) (bool, error) {
	p := reflect.ValueOf(dest)
	if p.Kind() != reflect.Pointer || p.IsNil() || p.Elem().Kind() != reflect.Struct {
		return false, nil
	}
	switch dest.(type) {
	case *wire.Value, *wire.FileRef, *time.Time, scanner:
		return false, nil
	}
	s := p.Elem()
	fields := fieldsOf(s.Type())
	if len(fields) == 0 && len(r.values) == 1 && (r.columns.fields[0].Type.Kind == wire.JSON || takesCell(dest)) {
		return false, nil
	}
	if len(fields) == 0 {
		return true, errors.New(`scan: the struct has no fields with db:"name" tags`)
	}
	found := 0
	for i := range r.values {
		f := &r.columns.fields[i]
		index, ok := fields[f.Name]
		if !ok {
			continue
		}
		found++
		field, err := s.FieldByIndexErr(index)
		if err != nil {
			return true, &failure{text: "scan column " + f.Name, cause: err}
		}
		if err := assign(field.Addr().Interface(), f.Type, r.values[i]); err != nil {
			return true, &failure{text: "scan column " + f.Name, cause: err}
		}
	}
	if found == 0 {
		return true, errors.New("scan: no column has the name of a field")
	}
	return true, nil
}

// takesCell reports whether a struct is one value and no row.
func takesCell(dest any) bool {
	switch dest.(type) {
	case encoding.TextUnmarshaler, json.Unmarshaler:
		return true
	}
	return isTime(reflect.TypeOf(dest).Elem())
}

// isTime reports whether t is time.Time under another name.
func isTime(t reflect.Type) bool {
	return t.Kind() == reflect.Struct && t.ConvertibleTo(reflect.TypeFor[time.Time]())
}

func isNilPointer(dest any) bool {
	p := reflect.ValueOf(dest)
	return p.Kind() == reflect.Pointer && p.IsNil()
}

// reflectAssign assigns to what is not a plain type of Go: a scanner, a file
// reference, a pointer, a type that reads text or JSON, named types, and
// structs, maps, slices and arrays, which take JSON.
func reflectAssign(dest any, t wire.Type, v wire.Value) (bool, error) {
	if p := reflect.ValueOf(dest); p.Kind() == reflect.Pointer && !p.IsNil() {
		if value, valid, ok := nullOf(p.Elem()); ok {
			p.Elem().SetZero()
			if v.IsNull() {
				return true, nil
			}
			valid.SetBool(true)
			return true, assign(value.Addr().Interface(), t, v)
		}
	}
	switch d := dest.(type) {
	case scanner:
		return true, d.Scan(driverValue(t, v))
	case *wire.FileRef:
		if v.Tag() == wire.TagText {
			f, err := wire.DecodeFileRef(v.Text())
			if err == nil {
				*d = *f
			}
			return true, err
		}
	case *json.RawMessage:
		if v.Tag() == wire.TagText {
			*d = json.RawMessage(v.Text())
			return true, nil
		}
	case encoding.TextUnmarshaler:
		if !v.IsNull() {
			return true, d.UnmarshalText([]byte(cellText(t, v)))
		}
	case json.Unmarshaler:
		if !v.IsNull() {
			return true, d.UnmarshalJSON([]byte(cellText(t, v)))
		}
	}
	p := reflect.ValueOf(dest)
	if p.Kind() != reflect.Pointer || p.IsNil() {
		return false, nil
	}
	e := p.Elem()
	if e.Kind() == reflect.Pointer {
		if v.IsNull() {
			e.SetZero()
			return true, nil
		}
		x := reflect.New(e.Type().Elem())
		if err := assign(x.Interface(), t, v); err != nil {
			return true, err
		}
		e.Set(x)
		return true, nil
	}
	if v.IsNull() {
		if e.Kind() != reflect.Slice && e.Kind() != reflect.Map {
			return false, nil
		}
		e.SetZero()
		return true, nil
	}
	if e.Kind() == reflect.Array && e.Type().Elem().Kind() == reflect.Uint8 && v.Tag() == wire.TagBytes {
		if b := v.Bytes(); len(b) != e.Len() {
			return true, errors.New("the cell has " + itoa(len(b)) + " bytes, the array " + itoa(e.Len()))
		}
		reflect.Copy(e, reflect.ValueOf(v.Bytes()))
		return true, nil
	}
	if e.Kind() == reflect.Slice && e.Type().Elem().Kind() == reflect.Uint8 && e.Type() != reflect.TypeFor[[]byte]() {
		var b []byte
		if err := assign(&b, t, v); err != nil {
			return true, err
		}
		e.SetBytes(b)
		return true, nil
	}
	plain, ok := plainTypes[e.Kind()]
	if isTime(e.Type()) {
		plain, ok = reflect.TypeFor[time.Time](), true
	}
	if !ok {
		switch e.Kind() {
		case reflect.Struct, reflect.Map, reflect.Slice, reflect.Array:
			if t.Kind == wire.Embedding || v.Tag() == wire.TagText {
				return true, json.Unmarshal([]byte(cellText(t, v)), dest)
			}
		}
		return false, nil
	}
	if e.Type() == plain {
		return false, nil
	}
	x := reflect.New(plain)
	if err := assign(x.Interface(), t, v); err != nil {
		return true, err
	}
	e.Set(x.Elem().Convert(e.Type()))
	return true, nil
}

// driverValue gives a scanner one of the types that database/sql knows.
func driverValue(t wire.Type, v wire.Value) any {
	switch x := natural(t, v).(type) {
	case time.Duration, []float32:
		return cellText(t, v)
	default:
		return x
	}
}

var plainTypes = map[reflect.Kind]reflect.Type{
	reflect.String: reflect.TypeFor[string](), reflect.Bool: reflect.TypeFor[bool](),
	reflect.Int: reflect.TypeFor[int](), reflect.Int8: reflect.TypeFor[int8](), reflect.Int16: reflect.TypeFor[int16](),
	reflect.Int32: reflect.TypeFor[int32](), reflect.Int64: reflect.TypeFor[int64](),
	reflect.Uint: reflect.TypeFor[uint](), reflect.Uint8: reflect.TypeFor[uint8](), reflect.Uint16: reflect.TypeFor[uint16](),
	reflect.Uint32: reflect.TypeFor[uint32](), reflect.Uint64: reflect.TypeFor[uint64](),
	reflect.Float32: reflect.TypeFor[float32](), reflect.Float64: reflect.TypeFor[float64](),
}
