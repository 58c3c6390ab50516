package wire

// DecodeClientFrame reads a message of a client, forgiving in what may be
// forgiven: sequence ids as numbers or strings, an authenticate without its
// protocol, members it does not know. The error is an *Error. When its code is
// INVALID_PARAMETER the frame is returned beside it, so that the subscription
// can be named; with any other code (PROTOCOL) the frame is nil.
func DecodeClientFrame(b []byte) (*ClientFrame, error) {
	r := newReader(b, false)
	f := &ClientFrame{}
	var bad *Error
	var has struct{ token, subscription, id bool }
	first, key := true, ""
	if r.open('{', "an object") {
		for r.member(&first, &key) {
			switch key {
			case "type":
				f.Type = r.str("a string for type")
			case "method":
				f.Method = r.str("a string for method")
			case "token":
				f.Token, has.token = r.str("a string for token"), true
			case "protocol":
				f.Protocol = r.protocol()
			case "subscription":
				f.Subscription, bad = r.subscription()
				has.subscription = true
			case "subscription_id":
				f.SubscriptionID, has.id = r.str("a string for subscription_id"), true
			case "last_seq_id":
				if f.HasLastSeqID = !r.null(); f.HasLastSeqID {
					f.LastSeqID = r.int("a sequence id")
				}
			default:
				r.skip()
			}
		}
	}
	if err := r.err(CodeProtocol, "invalid message: "); err != nil {
		return nil, err
	}
	missing := ""
	switch f.Type {
	case "authenticate":
		if !has.token {
			missing = "token"
		}
		f.Method = orElse(f.Method, "jwt")
		f.Protocol.Serialization = orElse(f.Protocol.Serialization, "json")
		f.Protocol.Compression = orElse(f.Protocol.Compression, "gzip")
	case "subscribe":
		if !has.subscription {
			missing = "subscription"
		}
	case "next_batch", "unsubscribe":
		if !has.id {
			missing = "subscription_id"
		}
	case "ping":
	case "":
		missing = "type"
	default:
		return nil, NewError(CodeProtocol, "invalid message: unknown type ", quoted(f.Type))
	}
	if missing != "" {
		return nil, NewError(CodeProtocol, "invalid message: missing field `", missing, "`")
	}
	if bad != nil {
		return f, bad
	}
	return f, nil
}

// quoted cuts text of a stranger to a length that a message bears.
func quoted(s string) string {
	if len(s) > 40 {
		s = s[:40]
	}
	return string(AppendString(nil, s))
}

func (r *reader) protocol() Protocol {
	var p Protocol
	first, key := true, ""
	if r.null() || !r.open('{', "an object for protocol") {
		return p
	}
	for r.member(&first, &key) {
		switch key {
		case "serialization":
			if !r.null() {
				p.Serialization = r.str("a string for serialization")
			}
		case "compression":
			if !r.null() {
				p.Compression = r.str("a string for compression")
			}
		case "renew":
			p.Renew = !r.null() && r.bool("true or false for renew")
		default:
			r.skip()
		}
	}
	return p
}

func (r *reader) subscription() (Subscription, *Error) {
	var s Subscription
	var bad *Error
	var hasID, hasSQL bool
	first, key := true, ""
	if !r.open('{', "an object for subscription") {
		return s, nil
	}
	for r.member(&first, &key) {
		switch key {
		case "id":
			s.ID, hasID = r.str("a string for id"), true
		case "sql":
			s.SQL, hasSQL = r.str("a string for sql"), true
		case "params":
			s.Params, bad = r.params()
		case "namespace_id":
			if !r.null() {
				s.Namespace = r.str("a string for namespace_id")
			}
		case "options":
			s.Options = r.options()
		default:
			r.skip()
		}
	}
	if !hasID {
		r.fail("missing field `id` in subscription")
	}
	if !hasSQL {
		r.fail("missing field `sql` in subscription")
	}
	return s, bad
}

func (r *reader) options() *SubscribeOptions {
	if r.null() || !r.open('{', "an object for options") {
		return nil
	}
	o := &SubscribeOptions{}
	first, key := true, ""
	for r.member(&first, &key) {
		switch key {
		case "batch_size":
			if !r.null() {
				o.BatchSize = r.count("a number for batch_size")
			}
		case "last_rows":
			if !r.null() {
				o.LastRows = r.count("a number for last_rows")
			}
		case "from", "from_seq_id":
			if !r.null() {
				o.From, o.HasFrom = r.int("a sequence id"), true
			}
		default:
			r.skip()
		}
	}
	return o
}

// DecodeServerFrame reads a message of the server. Cells keep the form that
// JSON gave them until TypeRows gives them that of the acknowledged schema.
// The values share the memory of one copy of b. The error is an *Error with
// code PROTOCOL; a type, role or data_type it does not know is none.
func DecodeServerFrame(b []byte) (*ServerFrame, error) {
	r := newReader(b, true)
	f := &ServerFrame{ExpiresIn: -1}
	first, key := true, ""
	if r.open('{', "an object") {
		for r.member(&first, &key) {
			r.serverMember(f, key)
		}
	}
	if err := r.err(CodeProtocol, "invalid message: "); err != nil {
		return nil, err
	}
	if f.Type == "" {
		return nil, NewError(CodeProtocol, "invalid message: missing field `type`")
	}
	return f, nil
}

func (r *reader) serverMember(f *ServerFrame, key string) {
	if key != "type" && r.null() {
		return
	}
	switch key {
	case "type":
		f.Type = r.str("a string for type")
	case "user":
		f.User = r.str("a string for user")
	case "role":
		f.Role = r.str("a string for role")
	case "protocol":
		f.Protocol = r.protocol()
	case "expires_in":
		f.ExpiresIn = r.int("a number of seconds")
	case "code":
		f.Code = Code(r.str("a string for code"))
	case "message":
		f.Message = r.str("a string for message")
	case "subscription_id":
		f.SubscriptionID = r.str("a string for subscription_id")
	case "batch_control":
		f.BatchControl = r.batchControl()
	case "schema":
		f.Schema = r.schema()
	case "reset":
		f.Reset = r.bool("true or false for reset")
	case "change_type":
		f.ChangeType = r.str("a string for change_type")
	case "rows":
		f.Rows = r.namedRows()
	case "old_values":
		f.OldValues = r.namedRows()
	case "last_seq_id":
		f.LastSeqID, f.HasLastSeqID = r.int("a sequence id"), true
	default:
		r.skip()
	}
}

func (r *reader) batchControl() BatchControl {
	var b BatchControl
	first, key := true, ""
	if !r.open('{', "an object for batch_control") {
		return b
	}
	for r.member(&first, &key) {
		switch key {
		case "batch_num":
			b.BatchNum = r.count("a number for batch_num")
		case "has_more":
			b.HasMore = r.bool("true or false for has_more")
		case "status":
			b.Status = r.str("a string for status")
		case "last_seq_id":
			if !r.null() {
				b.LastSeqID, b.HasLastSeqID = r.int("a sequence id"), true
			}
		default:
			r.skip()
		}
	}
	return b
}

// namedRows reads rows that are objects. Rows of the same members share one
// list of names. Of a repeated member the last one counts.
func (r *reader) namedRows() []Row {
	if !r.open('[', "an array of rows") {
		return nil
	}
	out := []Row{}
	var last []string // names of the row before
	first := true
	for r.element(&first) {
		row := Row{Values: make([]Value, 0, len(last))}
		same := true // so far the names are those of last
		begin, key := true, ""
		if !r.open('{', "an object in rows") {
			return out
		}
		for r.member(&begin, &key) {
			v, _ := r.value()
			n := len(row.Values)
			if same && n < len(last) && last[n] == key {
				row.Values = append(row.Values, v)
				continue
			}
			if same {
				row.Names = append(make([]string, 0, n+8), last[:n]...)
				same = false
			}
			if i := indexOf(row.Names, key); i >= 0 {
				row.Values[i] = v
				continue
			}
			if n == maxColumns {
				r.fail("too many columns")
				return out
			}
			row.Names = append(row.Names, key)
			row.Values = append(row.Values, v)
		}
		if same {
			row.Names = last[:len(row.Values):len(row.Values)]
		} else {
			last = row.Names
		}
		out = append(out, row)
	}
	return out
}

func indexOf(names []string, name string) int {
	for i, n := range names {
		if n == name {
			return i
		}
	}
	return -1
}

// TypeRows gives the cells of decoded rows the form of the types that the
// schema gives their names. It changes the rows in place.
func TypeRows(schema []Field, rows []Row) {
	for i := range rows {
		for j, name := range rows[i].Names {
			rows[i].Values[j] = TypeCell(typeOf(schema, name, j), rows[i].Values[j])
		}
	}
}
