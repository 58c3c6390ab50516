package wire

// Limits of the topic routes' bodies.
const (
	defaultLimit   = 100
	maxConsume     = 10_000 // messages of one answer
	maxTopicRanges = 10_000 // of one acknowledgement
	maxTopicName   = 256    // bytes of the name of a group or consumer
)

// DecodeConsumeRequest reads the body of POST /v1/api/topics/consume. Members it
// does not know are ignored.
func DecodeConsumeRequest(b []byte) (*ConsumeRequest, *Error) {
	r := newReader(b, false)
	req := &ConsumeRequest{Limit: defaultLimit}
	first, key := true, ""
	if r.open('{', "an object") {
		for r.member(&first, &key) {
			switch key {
			case "topic_id":
				req.Topic = r.str("a string for topic_id")
			case "group_id":
				req.Group = r.str("a string for group_id")
			case "start":
				req.Start = r.topicStart()
			case "limit":
				if !r.null() {
					req.Limit = min(r.count("a limit of at least 0"), maxConsume)
				}
			case "partition_id":
				if !r.null() {
					req.Partition = r.count("a partition_id of at least 0")
				}
			case "timeout_seconds":
				if !r.null() {
					req.Timeout = r.count("a timeout_seconds of at least 0")
				}
			case "all_partitions":
				req.AllPartitions = !r.null() && r.bool("true or false for all_partitions")
			case "consumer_id":
				if !r.null() {
					req.Consumer = r.str("a string for consumer_id")
				}
			case "peek":
				req.Peek = !r.null() && r.bool("true or false for peek")
			case "acks":
				if !r.null() {
					req.Acks = r.acks()
				}
			default:
				r.skip()
			}
		}
	}
	if err := r.err(CodeInvalidInput, badPayload); err != nil {
		return nil, err
	}
	group := req.Group
	if req.Peek && group == "" {
		group = "none"
	}
	return req, topicNames(req.Topic, group, req.Consumer)
}

// topicNames refuses names that are missing or too long.
func topicNames(topic, group, consumer string) *Error {
	switch {
	case topic == "":
		return NewError(CodeInvalidInput, badPayload, "missing field `topic_id`")
	case blank(group):
		return NewError(CodeInvalidInput, badPayload, "missing field `group_id`: every consumer belongs to a group")
	case len(group) > maxTopicName, len(consumer) > maxTopicName:
		return NewError(CodeInvalidInput, badPayload, "group_id and consumer_id have ", itoa(maxTopicName), " bytes at most")
	}
	return nil
}

func blank(s string) bool {
	for i := range len(s) {
		if s[i] > ' ' {
			return false
		}
	}
	return true
}

// topicStart reads "Latest", "Earliest" or {"Offset":n}.
func (r *reader) topicStart() TopicStart {
	if r.null() {
		return TopicStart{}
	}
	if r.peek() == '"' {
		switch at := r.i; lowerASCII(r.text()) {
		case "latest", "":
		case "earliest":
			return TopicStart{Earliest: true}
		default:
			r.i = at
			r.unexpected(`"Latest", "Earliest" or {"Offset":n} for start`)
		}
		return TopicStart{}
	}
	s := TopicStart{}
	first, key := true, ""
	if !r.open('{', `"Latest", "Earliest" or {"Offset":n} for start`) {
		return s
	}
	for r.member(&first, &key) {
		if lowerASCII(key) == "offset" {
			s = TopicStart{HasOffset: true, Offset: r.offset()}
			continue
		}
		r.skip()
	}
	if !s.HasOffset {
		r.fail(`an object for start needs "Offset"`)
	}
	return s
}

func lowerASCII(s string) string {
	b := []byte(s)
	for i, c := range b {
		if c >= 'A' && c <= 'Z' {
			b[i] = c + 'a' - 'A'
		}
	}
	return string(b)
}

// offset reads an offset: a whole number that is not negative.
func (r *reader) offset() int64 {
	const what = "an offset, a whole number from 0 to 9223372036854775807"
	r.peek()
	at := r.i
	n := r.int(what)
	if n < 0 {
		r.i = at
		r.unexpected(what)
		return 0
	}
	return n
}

func (r *reader) acks() []TopicAck {
	var out []TopicAck
	first := true
	if !r.open('[', "an array for acks") {
		return nil
	}
	for r.element(&first) {
		var a TopicAck
		begin, key := true, ""
		if !r.open('{', "an object in acks") {
			return nil
		}
		for r.member(&begin, &key) {
			switch key {
			case "partition_id":
				a.Partition = r.count("a partition_id of at least 0")
			case "ranges":
				a.Ranges = r.ranges()
			default:
				r.skip()
			}
		}
		if out = append(out, a); len(out) > maxTopicRanges {
			r.fail("too many acks")
			return nil
		}
	}
	return out
}

// ranges reads [[first,last],...].
func (r *reader) ranges() []TopicRange {
	var out []TopicRange
	first := true
	if !r.open('[', "an array for ranges") {
		return nil
	}
	for r.element(&first) {
		var pair []int64
		begin := true
		if !r.open('[', "a pair of offsets in ranges") {
			return nil
		}
		for r.element(&begin) {
			if pair = append(pair, r.offset()); len(pair) > 2 {
				break
			}
		}
		if r.why == "" && (len(pair) != 2 || pair[0] > pair[1]) {
			r.fail("each of ranges is a pair of offsets, [first,last]")
		}
		if r.why != "" {
			return nil
		}
		if out = append(out, TopicRange{pair[0], pair[1]}); len(out) > maxTopicRanges {
			r.fail("too many ranges")
			return nil
		}
	}
	return out
}

// DecodeAckRequest reads the body of POST /v1/api/topics/ack, nack or extend.
func DecodeAckRequest(b []byte) (*AckRequest, *Error) {
	r := newReader(b, false)
	req := &AckRequest{}
	first, key := true, ""
	if r.open('{', "an object") {
		for r.member(&first, &key) {
			switch key {
			case "topic_id":
				req.Topic = r.str("a string for topic_id")
			case "group_id":
				req.Group = r.str("a string for group_id")
			case "partition_id":
				if !r.null() {
					req.Partition = r.count("a partition_id of at least 0")
				}
			case "upto_offset":
				if !r.null() {
					req.HasUpTo, req.UpTo = true, r.offset()
				}
			case "consumer_id":
				if !r.null() {
					req.Consumer = r.str("a string for consumer_id")
				}
			case "ranges":
				if !r.null() {
					req.Ranges = r.ranges()
				}
			case "delay_ms":
				if !r.null() {
					req.DelayMS = r.offset()
				}
			case "unused":
				req.Unused = !r.null() && r.bool("true or false for unused")
			default:
				r.skip()
			}
		}
	}
	if err := r.err(CodeInvalidInput, badPayload); err != nil {
		return nil, err
	}
	if !req.HasUpTo && len(req.Ranges) == 0 {
		return nil, NewError(CodeInvalidInput, badPayload, "missing field `upto_offset`")
	}
	return req, topicNames(req.Topic, req.Group, req.Consumer)
}

// DecodeConsumeResponse reads an answer of POST /v1/api/topics/consume. Its texts
// share the memory of one copy of b.
func DecodeConsumeResponse(b []byte) (*ConsumeResponse, error) {
	r := newReader(b, true)
	resp := &ConsumeResponse{}
	first, key, found := true, "", false
	if r.open('{', "an object") {
		for r.member(&first, &key) {
			switch key {
			case "messages":
				found = true
				resp.Messages = r.messages()
			case "next_offset":
				resp.Next = r.int("a number for next_offset")
			case "has_more":
				resp.HasMore = r.bool("true or false for has_more")
			case "lease_ms":
				resp.Lease = r.int("a number for lease_ms")
			case "lag":
				resp.Lag = r.int("a number for lag")
			default:
				r.skip()
			}
		}
	}
	if !found {
		r.fail("missing field `messages`")
	}
	if err := r.err(CodeInvalidInput, badPayload); err != nil {
		return nil, err
	}
	return resp, nil
}

func (r *reader) messages() []TopicMessage {
	var out []TopicMessage
	first := true
	if !r.open('[', "an array for messages") {
		return nil
	}
	for r.element(&first) {
		out = append(out, r.message())
	}
	return out
}

func (r *reader) message() (m TopicMessage) {
	first, key := true, ""
	if !r.open('{', "an object in messages") {
		return m
	}
	for r.member(&first, &key) {
		switch key {
		case "topic_id":
			m.Topic = r.str("a string for topic_id")
		case "partition_id":
			m.Partition = r.count("a number for partition_id")
		case "offset":
			m.Offset = r.offset()
		case "payload":
			text, ok := decodeBase64(r.str("a string for payload"))
			if !ok && r.why == "" {
				r.fail("payload is not base64")
			}
			m.Payload = text
		case "key":
			if m.HasKey = !r.null(); m.HasKey {
				m.Key = r.str("a string for key")
			}
		case "timestamp_ms":
			m.TimestampMS = r.int("a number for timestamp_ms")
		case "user":
			if !r.null() {
				m.User = r.str("a string for user")
			}
		case "op":
			m.Op = lowerASCII(r.str("a string for op"))
		case "delivery_count":
			m.Deliveries = r.count("a number for delivery_count")
		default:
			r.skip()
		}
	}
	return m
}

// DecodeAckResponse reads an answer of POST /v1/api/topics/ack, nack or extend.
func DecodeAckResponse(b []byte) (*AckResponse, error) {
	r := newReader(b, false)
	resp := &AckResponse{Success: true}
	first, key := true, ""
	if r.open('{', "an object") {
		for r.member(&first, &key) {
			switch key {
			case "success":
				resp.Success = r.bool("true or false for success")
			case "acknowledged_offset":
				resp.Acknowledged = r.int("a number for acknowledged_offset")
			case "lost":
				resp.Lost = r.ranges()
			case "lease_ms":
				resp.Lease = r.int("a number for lease_ms")
			default:
				r.skip()
			}
		}
	}
	if err := r.err(CodeInvalidInput, badPayload); err != nil {
		return nil, err
	}
	return resp, nil
}

// DecodeTopicError reads an error of the topic routes, of which those before
// the authentication look like errors of /v1/api/sql; nil for what is none.
func DecodeTopicError(b []byte) *Error {
	r := newReader(b, false)
	e := &Error{}
	first, key := true, ""
	if !r.open('{', "an object") {
		return nil
	}
	for r.member(&first, &key) {
		switch {
		case key == "error" && r.peek() == '"':
			e.Message = r.text()
		case key == "error" && r.peek() == '{':
			begin, inner := true, ""
			r.open('{', "an object")
			for r.member(&begin, &inner) {
				switch {
				case inner == "code" && r.peek() == '"':
					e.Code = Code(r.text())
				case inner == "message" && r.peek() == '"':
					e.Message = r.text()
				default:
					r.skip()
				}
			}
		case key == "code" && r.peek() == '"':
			e.Code = Code(r.text())
		default:
			r.skip()
		}
	}
	if r.err(CodeInvalidInput, "") != nil || e.Code == "" {
		return nil
	}
	return e
}
