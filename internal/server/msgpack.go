package server

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"errors"
	"io"
	"math"
	"strconv"

	"github.com/vmihailenco/msgpack/v5"
	"github.com/vmihailenco/msgpack/v5/msgpcode"

	"github.com/kalamdb/kalam-go/wire"
)

// MessagePack is JSON in another notation here: maps have the same names, and
// cells the same forms (protocol 2.3). So there is one codec of messages, that of
// package wire, and this file translates.

// packMessage translates one of our own messages from JSON.
func packMessage(message []byte) []byte {
	d := json.NewDecoder(bytes.NewReader(message))
	d.UseNumber()
	var out bytes.Buffer
	out.Grow(len(message))
	if err := packValue(d, msgpack.NewEncoder(&out)); err != nil {
		panic("a message that is not JSON: " + err.Error()) // the encoder of wire made it
	}
	return out.Bytes()
}

func packValue(d *json.Decoder, e *msgpack.Encoder) error {
	t, err := d.Token()
	if err != nil {
		return err
	}
	switch t := t.(type) {
	case json.Delim:
		// The length stands in front, so what is inside is packed first.
		var inside bytes.Buffer
		n, into := 0, msgpack.NewEncoder(&inside)
		for ; d.More(); n++ {
			if err := packValue(d, into); err != nil {
				return err
			}
		}
		if _, err := d.Token(); err != nil {
			return err
		}
		if t == '{' {
			err = e.EncodeMapLen(n / 2)
		} else {
			err = e.EncodeArrayLen(n)
		}
		if err == nil {
			_, err = e.Writer().Write(inside.Bytes())
		}
		return err
	case json.Number:
		if n, err := strconv.ParseInt(t.String(), 10, 64); err == nil {
			return e.EncodeInt(n)
		}
		f, err := t.Float64()
		if err != nil {
			return err
		}
		return e.EncodeFloat64(f)
	case string:
		return e.EncodeString(t)
	case bool:
		return e.EncodeBool(t)
	}
	return e.EncodeNil()
}

// maxDepth is how deep the parts of a message may be nested.
const maxDepth = 16

var (
	errNotMsgpack = errors.New("the binary message is not MessagePack")
	errNotGzip    = errors.New("the binary message begins like gzip, but is not")
	errInflated   = errors.New("the message is larger than the server accepts")
)

// unpackMessage translates a binary message of a client, compressed or not, into
// JSON. The errors are for the client.
func unpackMessage(data []byte, limit int) ([]byte, error) {
	if bytes.HasPrefix(data, []byte{0x1f, 0x8b}) {
		z, err := gzip.NewReader(bytes.NewReader(data))
		if err != nil {
			return nil, errNotGzip
		}
		if data, err = io.ReadAll(io.LimitReader(z, int64(limit)+1)); err != nil {
			return nil, errNotGzip
		}
		if len(data) > limit {
			return nil, errInflated
		}
	}
	r := bytes.NewReader(data)
	u := unpacker{d: msgpack.NewDecoder(r), limit: 2 * limit}
	if err := u.value(0); err != nil {
		return nil, errNotMsgpack
	}
	if r.Len() > 0 {
		return nil, errNotMsgpack
	}
	return u.out, nil
}

type unpacker struct {
	d     *msgpack.Decoder
	out   []byte
	limit int
}

func (u *unpacker) value(depth int) error {
	if depth > maxDepth || len(u.out) > u.limit {
		return errNotMsgpack
	}
	c, err := u.d.PeekCode()
	if err != nil {
		return err
	}
	switch {
	case c == msgpcode.Nil:
		u.out = append(u.out, "null"...)
		return u.d.DecodeNil()
	case c == msgpcode.True, c == msgpcode.False:
		b, err := u.d.DecodeBool()
		u.out = strconv.AppendBool(u.out, b)
		return err
	case c == msgpcode.Uint64:
		n, err := u.d.DecodeUint64()
		u.out = strconv.AppendUint(u.out, n, 10)
		return err
	case msgpcode.IsFixedNum(c), c >= msgpcode.Uint8 && c <= msgpcode.Int64:
		n, err := u.d.DecodeInt64()
		u.out = strconv.AppendInt(u.out, n, 10)
		return err
	case c == msgpcode.Float, c == msgpcode.Double:
		f, err := u.d.DecodeFloat64()
		if math.IsNaN(f) || math.IsInf(f, 0) {
			return errNotMsgpack
		}
		u.out = strconv.AppendFloat(u.out, f, 'g', -1, 64)
		return err
	case msgpcode.IsString(c):
		s, err := u.d.DecodeString()
		u.out = wire.AppendString(u.out, s)
		return err
	case msgpcode.IsFixedArray(c), c == msgpcode.Array16, c == msgpcode.Array32:
		n, err := u.d.DecodeArrayLen()
		if err != nil {
			return err
		}
		return u.list('[', ']', n, func() error { return u.value(depth + 1) })
	case msgpcode.IsFixedMap(c), c == msgpcode.Map16, c == msgpcode.Map32:
		n, err := u.d.DecodeMapLen()
		if err != nil {
			return err
		}
		return u.list('{', '}', n, func() error {
			name, err := u.d.DecodeString()
			if err != nil {
				return err
			}
			u.out = append(wire.AppendString(u.out, name), ':')
			return u.value(depth + 1)
		})
	}
	return errNotMsgpack
}

func (u *unpacker) list(begin, end byte, n int, entry func() error) error {
	u.out = append(u.out, begin)
	for i := range n {
		if i > 0 {
			u.out = append(u.out, ',')
		}
		if err := entry(); err != nil {
			return err
		}
	}
	u.out = append(u.out, end)
	return nil
}
