package live

import (
	"sync"
	"time"

	"github.com/kalamdb/kalam-go/wire"
)

// Frame is a message to subscribers, in JSON. Those who are sent the same share
// one Frame, and with it the bytes that go over their connections.
type Frame struct {
	JSON []byte
	Made time.Time
	// Shared is how many subscriptions of several users it is made for; 0 when it
	// is for one user.
	Shared int

	sent [Forms]struct {
		once sync.Once
		data []byte
	}
}

func newFrame(f *wire.ServerFrame) *Frame {
	return &Frame{JSON: wire.AppendServerFrame(nil, f), Made: time.Now()}
}

// Forms is in how many ways a frame may be sent.
const Forms = 4

// Form returns the frame in one of the forms in which it is sent, which make
// computes the first time from the JSON. The result must not be changed.
func (f *Frame) Form(i int, make func(json []byte) []byte) []byte {
	s := &f.sent[i]
	s.once.Do(func() { s.data = make(f.JSON) })
	return s.data
}
