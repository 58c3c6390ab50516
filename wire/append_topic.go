package wire

import "strconv"

// AppendConsumeRequest appends the body of POST /v1/api/topics/consume.
func AppendConsumeRequest(dst []byte, r *ConsumeRequest) []byte {
	dst = append(dst, `{"topic_id":`...)
	dst = AppendString(dst, r.Topic)
	dst = append(dst, `,"group_id":`...)
	dst = AppendString(dst, r.Group)
	dst = append(dst, `,"start":`...)
	switch {
	case r.Start.HasOffset:
		dst = append(dst, `{"Offset":`...)
		dst = strconv.AppendInt(dst, r.Start.Offset, 10)
		dst = append(dst, '}')
	case r.Start.Earliest:
		dst = append(dst, `"Earliest"`...)
	default:
		dst = append(dst, `"Latest"`...)
	}
	dst = append(dst, `,"limit":`...)
	dst = strconv.AppendInt(dst, int64(r.Limit), 10)
	if r.AllPartitions {
		dst = append(dst, `,"all_partitions":true`...)
	} else {
		dst = append(dst, `,"partition_id":`...)
		dst = strconv.AppendInt(dst, int64(r.Partition), 10)
	}
	dst = appendPositive(dst, `,"timeout_seconds":`, r.Timeout)
	if r.Consumer != "" {
		dst = append(dst, `,"consumer_id":`...)
		dst = AppendString(dst, r.Consumer)
	}
	if r.Peek {
		dst = append(dst, `,"peek":true`...)
	}
	if len(r.Acks) > 0 {
		dst = append(dst, `,"acks":[`...)
		for i, a := range r.Acks {
			if i > 0 {
				dst = append(dst, ',')
			}
			dst = append(dst, `{"partition_id":`...)
			dst = strconv.AppendInt(dst, int64(a.Partition), 10)
			dst = append(dst, `,"ranges":`...)
			dst = appendRanges(dst, a.Ranges)
			dst = append(dst, '}')
		}
		dst = append(dst, ']')
	}
	return append(dst, '}')
}

func appendRanges(dst []byte, list []TopicRange) []byte {
	dst = append(dst, '[')
	for i, r := range list {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = append(dst, '[')
		dst = strconv.AppendInt(dst, r.First, 10)
		dst = append(dst, ',')
		dst = strconv.AppendInt(dst, r.Last, 10)
		dst = append(dst, ']')
	}
	return append(dst, ']')
}

// AppendConsumeResponse appends the answer of POST /v1/api/topics/consume.
func AppendConsumeResponse(dst []byte, r *ConsumeResponse) []byte {
	dst = append(dst, `{"messages":[`...)
	for i := range r.Messages {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = appendMessage(dst, &r.Messages[i])
	}
	dst = append(dst, `],"next_offset":`...)
	dst = strconv.AppendInt(dst, r.Next, 10)
	dst = append(dst, `,"has_more":`...)
	dst = strconv.AppendBool(dst, r.HasMore)
	dst = appendLease(dst, r.Lease)
	dst = append(dst, `,"lag":`...)
	dst = strconv.AppendInt(dst, r.Lag, 10)
	return append(dst, '}')
}

func appendLease(dst []byte, ms int64) []byte {
	if ms <= 0 {
		return dst
	}
	dst = append(dst, `,"lease_ms":`...)
	return strconv.AppendInt(dst, ms, 10)
}

func appendMessage(dst []byte, m *TopicMessage) []byte {
	dst = append(dst, `{"topic_id":`...)
	dst = AppendString(dst, m.Topic)
	dst = append(dst, `,"partition_id":`...)
	dst = strconv.AppendInt(dst, int64(m.Partition), 10)
	dst = append(dst, `,"offset":`...)
	dst = strconv.AppendInt(dst, m.Offset, 10)
	dst = append(dst, `,"payload":"`...)
	dst = appendBase64(dst, m.Payload)
	dst = append(dst, `","key":`...)
	if m.HasKey {
		dst = AppendString(dst, m.Key)
	} else {
		dst = append(dst, "null"...)
	}
	dst = append(dst, `,"timestamp_ms":`...)
	dst = strconv.AppendInt(dst, m.TimestampMS, 10)
	if m.User != "" {
		dst = append(dst, `,"user":`...)
		dst = AppendString(dst, m.User)
	}
	dst = append(dst, `,"op":"`...)
	for _, n := range opNames {
		if n[0] == m.Op {
			dst = append(dst, n[1]...)
		}
	}
	dst = append(dst, '"')
	dst = appendPositive(dst, `,"delivery_count":`, m.Deliveries)
	return append(dst, '}')
}

// AppendAckRequest appends the body of POST /v1/api/topics/ack, nack or extend.
func AppendAckRequest(dst []byte, r *AckRequest) []byte {
	dst = append(dst, `{"topic_id":`...)
	dst = AppendString(dst, r.Topic)
	dst = append(dst, `,"group_id":`...)
	dst = AppendString(dst, r.Group)
	dst = append(dst, `,"partition_id":`...)
	dst = strconv.AppendInt(dst, int64(r.Partition), 10)
	if r.HasUpTo {
		dst = append(dst, `,"upto_offset":`...)
		dst = strconv.AppendInt(dst, r.UpTo, 10)
	}
	if r.Consumer != "" {
		dst = append(dst, `,"consumer_id":`...)
		dst = AppendString(dst, r.Consumer)
	}
	if len(r.Ranges) > 0 {
		dst = append(dst, `,"ranges":`...)
		dst = appendRanges(dst, r.Ranges)
	}
	if r.DelayMS > 0 {
		dst = append(dst, `,"delay_ms":`...)
		dst = strconv.AppendInt(dst, r.DelayMS, 10)
	}
	if r.Unused {
		dst = append(dst, `,"unused":true`...)
	}
	return append(dst, '}')
}

// AppendAckResponse appends the answer of POST /v1/api/topics/ack, nack or
// extend.
func AppendAckResponse(dst []byte, r *AckResponse) []byte {
	dst = append(dst, `{"success":`...)
	dst = strconv.AppendBool(dst, r.Success)
	dst = append(dst, `,"acknowledged_offset":`...)
	dst = strconv.AppendInt(dst, r.Acknowledged, 10)
	if len(r.Lost) > 0 {
		dst = append(dst, `,"lost":`...)
		dst = appendRanges(dst, r.Lost)
	}
	dst = appendLease(dst, r.Lease)
	return append(dst, '}')
}

// AppendTopicError appends an error of the topic routes (section 1.0.8).
func AppendTopicError(dst []byte, e *Error) []byte {
	dst = append(dst, `{"error":`...)
	dst = AppendString(dst, e.Message)
	dst = append(dst, `,"code":`...)
	dst = AppendString(dst, string(e.Code))
	return append(dst, '}')
}

const base64Digits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"

// appendBase64 appends s in standard base64 (RFC 4648), written out because
// encoding/base64 would bring reflection into the WebAssembly build.
func appendBase64(dst []byte, s string) []byte {
	for ; len(s) >= 3; s = s[3:] {
		n := uint(s[0])<<16 | uint(s[1])<<8 | uint(s[2])
		dst = append(dst, base64Digits[n>>18], base64Digits[n>>12&63], base64Digits[n>>6&63], base64Digits[n&63])
	}
	switch len(s) {
	case 1:
		n := uint(s[0]) << 16
		dst = append(dst, base64Digits[n>>18], base64Digits[n>>12&63], '=', '=')
	case 2:
		n := uint(s[0])<<16 | uint(s[1])<<8
		dst = append(dst, base64Digits[n>>18], base64Digits[n>>12&63], base64Digits[n>>6&63], '=')
	}
	return dst
}

var base64Values = func() (t [256]byte) {
	for i := range t {
		t[i] = 0xff
	}
	for i := range len(base64Digits) {
		t[base64Digits[i]] = byte(i)
	}
	return t
}()

// decodeBase64 reads standard base64 with padding.
func decodeBase64(s string) (string, bool) {
	if len(s)%4 != 0 {
		return "", false
	}
	pad := 0
	for pad < 2 && pad < len(s) && s[len(s)-1-pad] == '=' {
		pad++
	}
	digits := s[:len(s)-pad]
	out := make([]byte, 0, len(s)/4*3)
	n, bits := uint(0), 0
	for i := range len(digits) {
		v := base64Values[digits[i]]
		if v == 0xff {
			return "", false
		}
		n, bits = n<<6|uint(v), bits+6
		if bits >= 8 {
			bits -= 8
			out = append(out, byte(n>>bits))
		}
	}
	return string(out), n&(1<<bits-1) == 0
}
