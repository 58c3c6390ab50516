package wire

// SessionInfo is an open session of a user in an answer of the auth routes.
// Times are RFC 3339 texts.
type SessionInfo struct {
	ID         string
	Current    bool   // the one that asks
	AuthMethod string // how it began: "password", "code", "anonymous"
	ClientAddr string // where its newest token went, "" when unknown
	CreatedAt  string
	LastSeenAt string // its last renewal
	ExpiresAt  string
}

// AppendFields appends a JSON object of names and texts in turn. A field whose
// text is "" is left out.
func AppendFields(dst []byte, fields ...string) []byte {
	dst = append(dst, '{')
	empty := true
	for i := 0; i+1 < len(fields); i += 2 {
		if fields[i+1] == "" {
			continue
		}
		if !empty {
			dst = append(dst, ',')
		}
		empty = false
		dst = append(AppendString(dst, fields[i]), ':')
		dst = AppendString(dst, fields[i+1])
	}
	return append(dst, '}')
}

// AppendSessions appends the answer of GET /v1/api/auth/sessions.
func AppendSessions(dst []byte, list []SessionInfo) []byte {
	dst = append(dst, `{"sessions":[`...)
	for i := range list {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = AppendSession(dst, &list[i])
	}
	return append(dst, "]}"...)
}

// AppendSession appends one session.
func AppendSession(dst []byte, s *SessionInfo) []byte {
	dst = AppendString(append(dst, `{"id":`...), s.ID)
	dst = AppendCell(append(dst, `,"current":`...), Type{}, BoolValue(s.Current))
	dst = AppendString(append(dst, `,"auth_method":`...), s.AuthMethod)
	if s.ClientAddr != "" {
		dst = AppendString(append(dst, `,"client_addr":`...), s.ClientAddr)
	}
	dst = AppendString(append(dst, `,"created_at":`...), s.CreatedAt)
	dst = AppendString(append(dst, `,"last_seen_at":`...), s.LastSeenAt)
	dst = AppendString(append(dst, `,"expires_at":`...), s.ExpiresAt)
	return append(dst, '}')
}

// DecodeSessions reads the answer of GET /v1/api/auth/sessions.
func DecodeSessions(b []byte) ([]SessionInfo, error) {
	r := newReader(b, false)
	var list []SessionInfo
	first, key := true, ""
	if r.open('{', "an object") {
		for r.member(&first, &key) {
			if key != "sessions" || !r.open('[', "a list for sessions") {
				r.skip()
				continue
			}
			for one := true; r.element(&one); {
				list = append(list, r.session())
			}
		}
	}
	if err := r.err(CodeProtocol, "invalid answer: "); err != nil {
		return nil, err
	}
	return list, nil
}

func (r *reader) session() SessionInfo {
	var s SessionInfo
	first, key := true, ""
	if !r.open('{', "an object for a session") {
		return s
	}
	for r.member(&first, &key) {
		v, _ := r.value()
		switch key {
		case "id":
			s.ID = v.Text()
		case "current":
			s.Current = v.Bool()
		case "auth_method":
			s.AuthMethod = v.Text()
		case "client_addr":
			s.ClientAddr = v.Text()
		case "created_at":
			s.CreatedAt = v.Text()
		case "last_seen_at":
			s.LastSeenAt = v.Text()
		case "expires_at":
			s.ExpiresAt = v.Text()
		}
	}
	return s
}

// DecodeEnded reads the answer of DELETE /v1/api/auth/sessions: how many have
// ended.
func DecodeEnded(b []byte) (int, error) {
	r := newReader(b, false)
	n := 0
	first, key := true, ""
	if r.open('{', "an object") {
		for r.member(&first, &key) {
			if key != "ended" {
				r.skip()
				continue
			}
			n = r.count("a number for ended")
		}
	}
	if err := r.err(CodeProtocol, "invalid answer: "); err != nil {
		return 0, err
	}
	return n, nil
}
