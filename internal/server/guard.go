package server

import (
	endian "encoding/binary"
	"io"
	"math"
	"net"
	"sync/atomic"
)

// strangerBytes is how much a client may send before it has signed in, which
// takes one message with a token.
const strangerBytes = 32 << 10

// guard is the connection of a socket. Until trust is called it counts what the
// frames that come claim to hold, and lets nothing through when that is too
// much: the library would make room for a whole message before anybody knows
// who sends it.
type guard struct {
	net.Conn
	tooMuch func() // called once; whatever else comes is thrown away
	trusted atomic.Bool

	// Of the goroutine that reads.
	early   []byte // what came with the request and is not read yet
	allowed uint64 // bytes that frames may still hold
	payload uint64 // bytes until the next frame
	head    []byte // what has come of the next frame's header
}

// trust lets everything through from now on.
func (g *guard) trust() { g.trusted.Store(true) }

// Read implements net.Conn.
func (g *guard) Read(p []byte) (int, error) {
	n, err := g.read(p)
	if g.trusted.Load() || g.allows(p[:n]) {
		return n, err
	}
	g.tooMuch()
	io.Copy(io.Discard, g.Conn) // until the close frame has been sent and answered, or its time is over
	return 0, io.ErrUnexpectedEOF
}

func (g *guard) read(p []byte) (int, error) {
	if len(g.early) == 0 {
		return g.Conn.Read(p)
	}
	n := copy(p, g.early)
	if g.early = g.early[n:]; len(g.early) == 0 {
		g.early = nil
	}
	return n, nil
}

// allows reports whether b, which follows what came before, belongs to frames
// that are allowed.
func (g *guard) allows(b []byte) bool {
	for len(b) > 0 {
		if g.payload > 0 {
			n := min(g.payload, uint64(len(b)))
			g.payload -= n
			b = b[n:]
			continue
		}
		g.head, b = append(g.head, b[0]), b[1:]
		size, ok := frameSize(g.head)
		if !ok {
			continue
		}
		if size > g.allowed {
			return false
		}
		g.allowed -= size
		g.payload, g.head = size, g.head[:0]
	}
	return true
}

// frameSize reads the length of the payload from a frame's header (RFC 6455,
// section 5.2); ok when the header is complete.
func frameSize(head []byte) (size uint64, ok bool) {
	if len(head) < 2 {
		return 0, false
	}
	long := 0
	switch size = uint64(head[1] & 127); size {
	case 126:
		long = 2
	case 127:
		long = 8
	}
	mask := 0
	if head[1]&128 != 0 {
		mask = 4
	}
	if len(head) < 2+long+mask {
		return 0, false
	}
	switch long {
	case 2:
		size = uint64(endian.BigEndian.Uint16(head[2:]))
	case 8:
		size = min(endian.BigEndian.Uint64(head[2:]), math.MaxInt64)
	}
	return size, true
}
