// Package wire is the KalamDB protocol: request and response bodies, WebSocket
// frames, cell values and error codes, and how each is written as bytes.
//
// It is what the server and the clients share, and all that they share. It
// holds data and its encoding; it opens no connection and knows no SQL. It is
// compiled to WebAssembly with the client, so it imports neither fmt nor
// encoding/json nor reflect.
package wire

// Kind names a column type. The numbers are the protocol's type tags.
type Kind uint8

// The column types of the protocol (section 1.9.3).
const (
	Unknown   Kind = 0 // a NULL or a parameter without a type yet; never sent
	Boolean   Kind = 1
	Int       Kind = 2
	BigInt    Kind = 3
	Double    Kind = 4
	Float     Kind = 5
	Text      Kind = 6
	Timestamp Kind = 7
	Date      Kind = 8
	DateTime  Kind = 9
	Time      Kind = 10
	JSON      Kind = 11
	Bytes     Kind = 12
	Embedding Kind = 13
	UUID      Kind = 14
	Decimal   Kind = 15
	SmallInt  Kind = 16
	File      Kind = 17
)

// Type is a column type with its parameters. It is comparable.
type Type struct {
	Kind      Kind
	Precision uint8  // Decimal: digits in all, 1 to 38
	Scale     uint8  // Decimal: digits after the point
	Dim       uint16 // Embedding: number of components
}

var kindNames = [...]string{
	Unknown: "Text", Boolean: "Boolean", Int: "Int", BigInt: "BigInt", Double: "Double",
	Float: "Float", Text: "Text", Timestamp: "Timestamp", Date: "Date", DateTime: "DateTime",
	Time: "Time", JSON: "Json", Bytes: "Bytes", Embedding: "Embedding", UUID: "Uuid",
	Decimal: "Decimal", SmallInt: "SmallInt", File: "File",
}

// String gives the type's name on the wire, without its parameters.
func (k Kind) String() string {
	if int(k) < len(kindNames) {
		return kindNames[k]
	}
	return "Text"
}

// KindOf returns the kind that a wire name stands for, and whether there is one.
func KindOf(name string) (Kind, bool) {
	for k := Boolean; int(k) < len(kindNames); k++ {
		if kindNames[k] == name {
			return k, true
		}
	}
	return Unknown, false
}
