package wire

// Flags mark a column of a schema.
type Flags uint8

// Column flags. On the wire: "pk", "nn", "uq", in this order.
const (
	FlagPrimaryKey Flags = 1 << iota
	FlagNotNull
	FlagUnique
)

// Field describes one column of a result or of a subscription.
type Field struct {
	Name  string
	Type  Type
	Index int
	Flags Flags
}

// Result is the answer to one statement. A statement that returns rows has a
// schema, also when there are none; each row has len(Schema) cells.
type Result struct {
	Schema   []Field
	Rows     [][]Value
	RowCount int
	Message  string
	AsUser   string // the user the statement ran as
}

// Response is the body of an answer of POST /v1/api/sql.
type Response struct {
	Results []Result
	Took    float64 // milliseconds
	Err     *Error  // nil on success
}

// Statement is one statement of a transaction with its own parameters.
type Statement struct {
	SQL    string
	Params []Value
}

// Request is the body of POST /v1/api/sql. Either SQL or Statements is set.
// Parameter values are as JSON gives them: an integer that fits 64 bits is
// TagInt, another number TagFloat (or TagText with its digits when it does not
// fit exactly), a string TagText.
type Request struct {
	SQL        string
	Params     []Value
	Namespace  string
	Statements []Statement
	IsBatch    bool // the body had "statements"
}
