package client

import (
	"errors"

	"github.com/kalamdb/kalam-go/wire"
)

// Without reflection there are no structs to scan into and no named types.

func scanStruct(Row, any) (bool, error) { return false, nil }

var errNoParameter = errors.New("its type is no parameter")

func reflectValue(any) (wire.Value, error) { return wire.Null, errNoParameter }

func reflectAssign(any, wire.Type, wire.Value) (bool, error) { return false, nil }

func isNilPointer(any) bool { return false }
