//go:build !js

package client

import (
	"database/sql/driver"
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
			return true, err
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

// reflectValue makes a parameter of a file reference, a named type, a pointer or
// a driver.Valuer.
func reflectValue(a any) (wire.Value, bool) {
	if f, ok := a.(wire.FileRef); ok {
		return wire.TextValue(string(wire.AppendFileRef(nil, &f))), true
	}
	if valuer, ok := a.(driver.Valuer); ok {
		x, err := valuer.Value()
		if err != nil {
			return wire.Null, false
		}
		return toValue(x)
	}
	v := reflect.ValueOf(a)
	switch v.Kind() {
	case reflect.Pointer:
		if v.IsNil() {
			return wire.Null, true
		}
		if out, ok := toValue(v.Elem().Interface()); ok {
			return out, true
		}
		return reflectValue(v.Elem().Interface())
	case reflect.String:
		return wire.TextValue(v.String()), true
	case reflect.Bool:
		return wire.BoolValue(v.Bool()), true
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		return wire.IntValue(v.Int()), true
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		return uintValue(v.Uint()), true
	case reflect.Float32, reflect.Float64:
		return wire.FloatValue(v.Float()), true
	case reflect.Slice:
		if v.Type().Elem().Kind() == reflect.Uint8 {
			return wire.BytesValue(v.Bytes()), true
		}
	}
	return wire.Null, false
}

// reflectAssign assigns to file references, pointers and named types, and to a
// scanner.
func reflectAssign(dest any, t wire.Type, v wire.Value) (bool, error) {
	if d, ok := dest.(scanner); ok {
		return true, d.Scan(natural(t, v))
	}
	if d, ok := dest.(*wire.FileRef); ok && v.Tag() == wire.TagText {
		f, err := wire.DecodeFileRef(v.Text())
		if err == nil {
			*d = *f
		}
		return true, err
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
		return false, nil
	}
	plain, ok := plainTypes[e.Kind()]
	if e.Kind() == reflect.Slice && e.Type().Elem().Kind() == reflect.Uint8 {
		plain, ok = reflect.TypeFor[[]byte](), true
	}
	if !ok || e.Type() == plain {
		return false, nil
	}
	x := reflect.New(plain)
	if err := assign(x.Interface(), t, v); err != nil {
		return true, err
	}
	e.Set(x.Elem().Convert(e.Type()))
	return true, nil
}

var plainTypes = map[reflect.Kind]reflect.Type{
	reflect.String: reflect.TypeFor[string](), reflect.Bool: reflect.TypeFor[bool](),
	reflect.Int: reflect.TypeFor[int](), reflect.Int8: reflect.TypeFor[int8](), reflect.Int16: reflect.TypeFor[int16](),
	reflect.Int32: reflect.TypeFor[int32](), reflect.Int64: reflect.TypeFor[int64](),
	reflect.Uint: reflect.TypeFor[uint](), reflect.Uint8: reflect.TypeFor[uint8](), reflect.Uint16: reflect.TypeFor[uint16](),
	reflect.Uint32: reflect.TypeFor[uint32](), reflect.Uint64: reflect.TypeFor[uint64](),
	reflect.Float32: reflect.TypeFor[float32](), reflect.Float64: reflect.TypeFor[float64](),
}
