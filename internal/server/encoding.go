package server

import (
	"bytes"
	"compress/gzip"
	"sync"

	"github.com/kalamdb/kalam-go/internal/live"
)

// form is how the frames of subscriptions go over a socket, as was agreed on
// when it authenticated (protocol 2.3).
type form uint8

const (
	gzipForm    form = 1 << iota // large ones compressed
	msgpackForm                  // MessagePack instead of JSON

	plainJSON form = 0
	gzipJSON       = gzipForm
)

// gzipFrom is the size from which frames are compressed.
const gzipFrom = 512

// of gives the packet that sends a frame.
func (m form) of(f *live.Frame) []byte {
	return f.Form(int(m), func(data []byte) []byte {
		binary := false
		if m&msgpackForm != 0 {
			data, binary = packMessage(data), true
		}
		if m&gzipForm != 0 && len(data) >= gzipFrom {
			if small, ok := pack(data); ok {
				data, binary = small, true
			}
		}
		return packet(data, binary)
	})
}

// packers holds gzip writers between frames.
var packers = sync.Pool{New: func() any {
	z, _ := gzip.NewWriterLevel(nil, gzip.BestSpeed)
	return z
}}

// pack compresses a frame and reports whether that made it smaller.
func pack(data []byte) ([]byte, bool) {
	var out bytes.Buffer
	out.Grow(len(data) / 2)
	z := packers.Get().(*gzip.Writer)
	defer packers.Put(z)
	z.Reset(&out)
	z.Write(data)
	if err := z.Close(); err != nil || out.Len() >= len(data) {
		return data, false
	}
	return out.Bytes(), true
}
