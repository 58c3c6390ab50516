package expr

import (
	"github.com/google/uuid"
	"github.com/oklog/ulid/v2"

	"github.com/kalamdb/kalam-go/wire"
)

// idFunctions make a new id at each call.
var idFunctions = []*function{
	{name: "uuid_v7", result: wire.UUID, volatile: true, eval: newUUIDv7},
	{name: "uuidv7", result: wire.UUID, volatile: true, eval: newUUIDv7},
	{name: "gen_random_uuid", result: wire.UUID, volatile: true, eval: newUUIDv4},
	{name: "ulid", result: wire.Text, volatile: true, eval: newULID},
}

func newUUIDv7([]wire.Value) (wire.Value, error) {
	id, err := uuid.NewV7()
	if err != nil {
		return wire.Null, wire.NewError(wire.CodeInternal, "make uuid: ", err.Error())
	}
	return wire.TextValue(id.String()), nil
}

func newUUIDv4([]wire.Value) (wire.Value, error) {
	id, err := uuid.NewRandom()
	if err != nil {
		return wire.Null, wire.NewError(wire.CodeInternal, "make uuid: ", err.Error())
	}
	return wire.TextValue(id.String()), nil
}

func newULID([]wire.Value) (wire.Value, error) {
	return wire.TextValue(ulid.Make().String()), nil
}
