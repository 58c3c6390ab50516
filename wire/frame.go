package wire

// ClientFrame is a message from a client on the WebSocket (section 2.4). Type
// says which of the fields mean something.
type ClientFrame struct {
	Type string // authenticate, subscribe, next_batch, unsubscribe, ping

	// authenticate
	Method   string
	Token    string
	Protocol Protocol

	// subscribe
	Subscription Subscription

	// next_batch, unsubscribe
	SubscriptionID string
	LastSeqID      int64
	HasLastSeqID   bool
}

// String names the type and the subscription only.
func (f ClientFrame) String() string {
	if id := f.Subscription.ID + f.SubscriptionID; id != "" {
		return f.Type + " " + id
	}
	return f.Type
}

// Protocol is what two ends of a socket agree on. The empty fields of a
// client's message mean json and gzip.
type Protocol struct {
	Serialization string // json or msgpack
	Compression   string // gzip or none
	Renew         bool   // section 2.13
}

// Subscription asks for a live query.
type Subscription struct {
	ID        string
	SQL       string
	Params    []Value
	Namespace string            // of tables that are named without one; empty: "default"
	Options   *SubscribeOptions // nil: no snapshot
}

// SubscribeOptions choose the snapshot. From wins over LastRows.
type SubscribeOptions struct {
	BatchSize int   // rows a batch; 0: the default of 1000
	LastRows  int   // only the newest rows; 0: all
	From      int64 // resume after this position
	HasFrom   bool
}

// BatchControl says where in a snapshot a frame stands. Status is loading,
// loading_batch or ready.
type BatchControl struct {
	BatchNum     int
	HasMore      bool
	Status       string
	LastSeqID    int64
	HasLastSeqID bool
}

// ServerFrame is a message from the server on the WebSocket (section 2.5 and
// 2.13). Type says which of the fields mean something.
type ServerFrame struct {
	// auth_success, auth_error, auth_expiring, subscription_ack,
	// initial_data_batch, change, error
	Type string

	// auth_success
	User     string
	Role     string
	Protocol Protocol

	// auth_success with renewal, auth_expiring: seconds; -1 when there is no end
	ExpiresIn int64

	// auth_error, error
	Code    Code
	Message string

	// subscription_ack, initial_data_batch, change, error
	SubscriptionID string
	BatchControl   BatchControl
	Schema         []Field
	Reset          bool

	// initial_data_batch, change. Cells stand in the order of the schema of the
	// acknowledgement, to which Columns maps them.
	ChangeType string // insert, update, delete
	Rows       []Row
	OldValues  []Row

	// error with code SLOW_CONSUMER
	LastSeqID    int64
	HasLastSeqID bool
}

// Row is one row of a frame, an object on the wire: names and values side by
// side. A frame's rows may have differing names.
type Row struct {
	Names  []string
	Values []Value
}
