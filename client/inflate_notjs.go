//go:build !js

package client

import (
	"bytes"
	"compress/gzip"
	"errors"
	"io"
)

const maxMessage = 64 << 20 // bytes of one message, inflated

// inflate undoes the gzip of a binary message. Text in a binary message passes
// as it is.
func inflate(b []byte) ([]byte, error) {
	if len(b) < 2 || b[0] != 0x1f || b[1] != 0x8b {
		return b, nil
	}
	z, err := gzip.NewReader(bytes.NewReader(b))
	if err != nil {
		return nil, err
	}
	out, err := io.ReadAll(io.LimitReader(z, maxMessage+1))
	if err == nil && len(out) > maxMessage {
		return nil, errors.New("message is too large")
	}
	return out, err
}
