package engine

import (
	"sync"

	"github.com/kalamdb/kalam-go/internal/budget"
	"github.com/kalamdb/kalam-go/wire"
)

const (
	// smallHold is what a request holds without being counted, and holdStep in
	// which steps the rest is.
	smallHold = 64 << 10
	holdStep  = 256 << 10
)

// Memory is what the requests and sockets of a server may hold together: bodies,
// and rows and frames until the client has read them. A user may have no more of it than is
// left for others, so that nobody takes all.
type Memory struct {
	limit   int64
	account *budget.Account // which knows of it; nil for none

	mu    sync.Mutex
	used  int64            // mu guards it and the rest
	users map[string]int64 // what each of them has
}

// NewMemory makes a Memory of so many bytes, of which a is told.
func NewMemory(limit int64, a *budget.Account) *Memory {
	return &Memory{limit: limit, account: a, users: make(map[string]int64)}
}

// Hold is what one request or socket of a user holds of a Memory. It is used by one
// goroutine at a time; nil and the zero value count nothing.
type Hold struct {
	memory *Memory
	user   string
	bytes  int64 // what the request holds
	taken  int64 // what is counted of it
}

// Hold begins to count what a request of user holds. Release ends it.
func (m *Memory) Hold(user string) Hold { return Hold{memory: m, user: user} }

// Add counts n more bytes. It fails with RESULT_TOO_LARGE when the request alone
// would be too much, and with RATE_LIMITED when it is too much now.
func (h *Hold) Add(n int) error {
	if h == nil || h.memory == nil {
		return nil
	}
	h.bytes += int64(n)
	if h.bytes <= h.taken+smallHold {
		return nil
	}
	return h.take(max(holdStep, h.bytes-h.taken-smallHold))
}

func (h *Hold) take(n int64) error {
	m := h.memory
	m.mu.Lock()
	defer m.mu.Unlock()
	switch has := m.users[h.user]; {
	case h.taken+n > m.limit/2:
		return wire.NewError(wire.CodeResultTooLarge, "the request needs more memory than the server has for one user (half of limits.max_request_memory); read or write fewer rows with WHERE or LIMIT")
	case has+n > m.limit-m.used:
		return wire.NewError(wire.CodeRateLimited, "your requests, and the answers that you have not read yet, take as much memory as the server has for you now; read these answers first")
	}
	h.taken += n
	m.used += n
	m.users[h.user] += n
	m.account.Beside(n)
	return nil
}

// Set counts n bytes in place of what was counted so far. It fails as Add does,
// and nothing changes then; less never fails.
func (h *Hold) Set(n int) error {
	if h == nil || h.memory == nil {
		return nil
	}
	before := h.bytes
	if more := int64(n) - before; more > 0 {
		err := h.Add(int(more))
		if err != nil {
			h.bytes = before
		}
		return err
	}
	if h.bytes = int64(n); h.taken > 0 && h.bytes <= max(smallHold, h.taken-2*holdStep) {
		h.give(h.taken - max(0, h.bytes-smallHold))
	}
	return nil
}

// back lets go of all but so many bytes: what ran is to run again.
func (h *Hold) back(bytes int64) {
	if h != nil {
		h.bytes = bytes
	}
}

// held is how many bytes the request holds.
func (h *Hold) held() int64 {
	if h == nil {
		return 0
	}
	return h.bytes
}

// Release ends the count: the request holds nothing any more.
func (h *Hold) Release() {
	h.give(h.taken)
	h.bytes = 0
}

// give gives n of the bytes that are taken back.
func (h *Hold) give(n int64) {
	if n == 0 {
		return
	}
	m := h.memory
	m.mu.Lock()
	defer m.mu.Unlock()
	h.taken -= n
	m.used -= n
	m.account.Beside(-n)
	if m.users[h.user] -= n; m.users[h.user] == 0 {
		delete(m.users, h.user)
	}
}
