package wire

import "strconv"

// AppendClientFrame appends a message of a client.
func AppendClientFrame(dst []byte, f *ClientFrame) []byte {
	dst = append(dst, `{"type":`...)
	dst = AppendString(dst, f.Type)
	switch f.Type {
	case "authenticate":
		dst = append(dst, `,"method":`...)
		dst = AppendString(dst, f.Method)
		dst = append(dst, `,"token":`...)
		dst = AppendString(dst, f.Token)
		dst = appendProtocol(dst, &f.Protocol)
	case "subscribe":
		dst = append(dst, `,"subscription":`...)
		dst = appendSubscription(dst, &f.Subscription)
	case "next_batch", "unsubscribe":
		dst = append(dst, `,"subscription_id":`...)
		dst = AppendString(dst, f.SubscriptionID)
		if f.HasLastSeqID {
			dst = append(dst, `,"last_seq_id":`...)
			dst = strconv.AppendInt(dst, f.LastSeqID, 10)
		}
	}
	return append(dst, '}')
}

func appendSubscription(dst []byte, s *Subscription) []byte {
	dst = append(dst, `{"id":`...)
	dst = AppendString(dst, s.ID)
	dst = append(dst, `,"sql":`...)
	dst = AppendString(dst, s.SQL)
	if len(s.Params) > 0 {
		dst = append(dst, `,"params":`...)
		dst = AppendParams(dst, s.Params)
	}
	if s.Namespace != "" {
		dst = append(dst, `,"namespace_id":`...)
		dst = AppendString(dst, s.Namespace)
	}
	if o := s.Options; o != nil {
		dst = append(dst, `,"options":{`...)
		n := len(dst)
		dst = appendPositive(dst, `,"batch_size":`, o.BatchSize)
		dst = appendPositive(dst, `,"last_rows":`, o.LastRows)
		if o.HasFrom {
			dst = append(dst, `,"from":`...)
			dst = strconv.AppendInt(dst, o.From, 10)
		}
		if len(dst) > n {
			dst = append(dst[:n], dst[n+1:]...) // the first comma
		}
		dst = append(dst, '}')
	}
	return append(dst, '}')
}

func appendProtocol(dst []byte, p *Protocol) []byte {
	dst = append(dst, `,"protocol":{"serialization":`...)
	dst = AppendString(dst, orElse(p.Serialization, "json"))
	dst = append(dst, `,"compression":`...)
	dst = AppendString(dst, orElse(p.Compression, "gzip"))
	if p.Renew {
		dst = append(dst, `,"renew":true`...)
	}
	return append(dst, '}')
}

func orElse(s, other string) string {
	if s == "" {
		return other
	}
	return s
}

// AppendServerFrame appends a message of the server. Cells of rows are written
// by the types that f.Schema gives their names; only subscription_ack shows the
// schema itself.
func AppendServerFrame(dst []byte, f *ServerFrame) []byte {
	dst = append(dst, `{"type":`...)
	dst = AppendString(dst, f.Type)
	switch f.Type {
	case "auth_success":
		dst = append(dst, `,"user":`...)
		dst = AppendString(dst, f.User)
		dst = append(dst, `,"role":`...)
		dst = AppendString(dst, f.Role)
		dst = appendProtocol(dst, &f.Protocol)
		if f.Protocol.Renew {
			dst = appendExpiresIn(dst, f.ExpiresIn)
		}
	case "auth_expiring":
		dst = appendExpiresIn(dst, f.ExpiresIn)
	case "auth_error":
		if f.Code != "" {
			dst = append(dst, `,"code":`...)
			dst = AppendString(dst, string(f.Code))
		}
		dst = append(dst, `,"message":`...)
		dst = AppendString(dst, f.Message)
	case "error":
		dst = appendSubscriptionID(dst, f.SubscriptionID)
		dst = append(dst, `,"code":`...)
		dst = AppendString(dst, string(f.Code))
		dst = append(dst, `,"message":`...)
		dst = AppendString(dst, f.Message)
		if f.HasLastSeqID {
			dst = append(dst, `,"last_seq_id":"`...)
			dst = strconv.AppendInt(dst, f.LastSeqID, 10)
			dst = append(dst, '"')
		}
	case "subscription_ack":
		dst = appendSubscriptionID(dst, f.SubscriptionID)
		dst = append(dst, `,"total_rows":0`...)
		dst = appendBatchControl(dst, &f.BatchControl)
		dst = append(dst, `,"schema":`...)
		dst = AppendSchema(dst, f.Schema)
		if f.Reset {
			dst = append(dst, `,"reset":true`...)
		}
	case "initial_data_batch":
		dst = appendSubscriptionID(dst, f.SubscriptionID)
		dst = append(dst, `,"rows":`...)
		dst = AppendRows(dst, f.Schema, f.Rows)
		dst = appendBatchControl(dst, &f.BatchControl)
	case "change":
		dst = appendSubscriptionID(dst, f.SubscriptionID)
		dst = append(dst, `,"change_type":`...)
		dst = AppendString(dst, f.ChangeType)
		if f.Rows != nil {
			dst = append(dst, `,"rows":`...)
			dst = AppendRows(dst, f.Schema, f.Rows)
		}
		if f.OldValues != nil {
			dst = append(dst, `,"old_values":`...)
			dst = AppendRows(dst, f.Schema, f.OldValues)
		}
	}
	return append(dst, '}')
}

func appendSubscriptionID(dst []byte, id string) []byte {
	dst = append(dst, `,"subscription_id":`...)
	return AppendString(dst, id)
}

func appendExpiresIn(dst []byte, seconds int64) []byte {
	if seconds < 0 {
		return append(dst, `,"expires_in":null`...)
	}
	dst = append(dst, `,"expires_in":`...)
	return strconv.AppendInt(dst, seconds, 10)
}

func appendBatchControl(dst []byte, b *BatchControl) []byte {
	dst = append(dst, `,"batch_control":{"batch_num":`...)
	dst = strconv.AppendInt(dst, int64(b.BatchNum), 10)
	if b.HasMore {
		dst = append(dst, `,"has_more":true,"status":`...)
	} else {
		dst = append(dst, `,"has_more":false,"status":`...)
	}
	dst = AppendString(dst, b.Status)
	if !b.HasLastSeqID {
		return append(dst, `,"last_seq_id":null}`...)
	}
	dst = append(dst, `,"last_seq_id":`...)
	dst = strconv.AppendInt(dst, b.LastSeqID, 10)
	return append(dst, '}')
}

// AppendRows appends rows as an array of objects, each cell by the type that
// the schema gives its name.
func AppendRows(dst []byte, schema []Field, rows []Row) []byte {
	dst = append(dst, '[')
	for i := range rows {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = append(dst, '{')
		for j, name := range rows[i].Names {
			if j >= len(rows[i].Values) {
				break
			}
			if j > 0 {
				dst = append(dst, ',')
			}
			dst = AppendString(dst, name)
			dst = append(dst, ':')
			dst = AppendCell(dst, typeOf(schema, name, j), rows[i].Values[j])
		}
		dst = append(dst, '}')
	}
	return append(dst, ']')
}

// typeOf finds a column's type by name, looking first where it should stand.
func typeOf(schema []Field, name string, at int) Type {
	if at < len(schema) && schema[at].Name == name {
		return schema[at].Type
	}
	for i := range schema {
		if schema[i].Name == name {
			return schema[i].Type
		}
	}
	switch name {
	case "_seq":
		return Type{Kind: BigInt}
	case "_deleted":
		return Type{Kind: Boolean}
	}
	return Type{}
}
