package server

import (
	"context"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"

	"github.com/lxzan/gws"

	"github.com/kalamdb/kalam-go/wire"
)

// sockets are the open sockets of a server.
type sockets struct {
	s        *Server
	upgrader *gws.Upgrader
	number   atomic.Int64 // of the last one

	mu       sync.Mutex
	open     map[*socket]struct{} // mu guards it and the rest
	admitted int                  // those that connect included
	unknown  map[string]int       // of them not signed in, by network
	users    map[string]int       // of them signed in, by user
	closing  bool
	empty    chan struct{} // closed when closing and none is open
}

func (l *sockets) init(s *Server) {
	l.s = s
	l.upgrader = newUpgrader(s.options.MaxMessage)
	l.open = make(map[*socket]struct{})
	l.unknown = make(map[string]int)
	l.users = make(map[string]int)
	l.empty = make(chan struct{})
}

// admit lets a client from a network connect, or says why not. Who is admitted
// counts until they are dismissed, and towards the limit of those who have not
// signed in until they are known.
func (l *sockets) admit(network string) *wire.Error {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case l.closing:
		return wire.NewError(wire.CodeUnavailable, "the server is shutting down")
	case l.admitted >= l.s.options.MaxSockets:
		return wire.NewError(wire.CodeUnavailable, "the server has as many connections as it takes")
	case l.unknown[network] >= l.s.options.MaxUnknown || !l.mayHave(l.unknown[network], l.admitted):
		return wire.NewError(wire.CodeUnavailable, "too many connections from this network have not signed in")
	}
	l.admitted++
	l.unknown[network]++
	return nil
}

// mayHave reports whether whoever has so many sockets may have one more, when
// there are so many of all: when most places are taken, nobody may have more than
// are left for others.
func (l *sockets) mayHave(has, all int) bool {
	places := l.s.options.MaxSockets
	return all < places-places/4 || has <= places-all
}

// known takes one who has signed in off those of a network who have not, and
// counts it for the user. It reports whether that one may have it.
func (l *sockets) known(network, user string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.leave(l.unknown, network)
	may := l.mayHave(l.users[user], l.admitted-1)
	l.users[user]++
	return may
}

// dismiss is the end of one who was admitted: of a user who has signed in, or of
// somebody unknown from a network.
func (l *sockets) dismiss(user, network string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.admitted--
	if user != "" {
		l.leave(l.users, user)
	} else {
		l.leave(l.unknown, network)
	}
}

// leave counts one less of key. The caller holds mu.
func (l *sockets) leave(counts map[string]int, key string) {
	if counts[key]--; counts[key] <= 0 {
		delete(counts, key)
	}
}

// add takes a socket that is connected; false when the server is closing.
func (l *sockets) add(k *socket) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closing {
		return false
	}
	l.open[k] = struct{}{}
	return true
}

func (l *sockets) remove(k *socket) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if _, ok := l.open[k]; !ok {
		return
	}
	delete(l.open, k)
	if l.closing && len(l.open) == 0 {
		close(l.empty)
	}
}

func (l *sockets) all() []*socket {
	l.mu.Lock()
	defer l.mu.Unlock()
	out := make([]*socket, 0, len(l.open))
	for k := range l.open {
		out = append(out, k)
	}
	return out
}

// sweep pings every socket and closes those that have been silent too long.
func (l *sockets) sweep(ctx context.Context) {
	tick := time.NewTicker(l.s.options.Heartbeat)
	defer tick.Stop()
	var before, freed int64
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		before, freed = l.free(before, freed)
		now := time.Now()
		for _, k := range l.all() {
			silent := now.Sub(time.UnixMilli(k.lastSeen.Load()))
			switch {
			case silent > l.s.options.ClientTimeout:
				k.queue.clear()
				if !k.end(closeHeartbeat, "Heartbeat timeout") {
					k.cut()
				}
			case silent >= l.s.options.Heartbeat/2:
				k.queue.put(frame{op: opPing})
			}
		}
	}
}

// many is how many sockets leave enough behind to give it back.
const many = 500

// free gives back what many connections took to come about, once no more come:
// a socket takes several times as much then as later. before is how many there
// had been at the last call, freed at the last time that it gave something back.
func (l *sockets) free(before, freed int64) (now, _ int64) {
	now = l.number.Load()
	if now == before && now-freed >= many {
		debug.FreeOSMemory()
		freed = now
	}
	return now, freed
}

// revoke closes the sockets of sessions that end, as soon as they do.
func (l *sockets) revoke(ctx context.Context) {
	for {
		changed := l.s.users.Watch()
		for _, k := range l.all() {
			k.checkSession()
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return
		}
	}
}

// shutdown closes every socket and waits until they have gone or ctx ends.
func (l *sockets) shutdown(ctx context.Context) {
	l.mu.Lock()
	if !l.closing {
		l.closing = true
		if len(l.open) == 0 {
			close(l.empty)
		}
	}
	l.mu.Unlock()
	for _, k := range l.all() {
		k.end(closeGoingAway, "Server shutting down")
	}
	select {
	case <-l.empty:
	case <-ctx.Done():
		for _, k := range l.all() {
			k.cut()
		}
	}
}

// Sockets is how many sockets are open.
func (s *Server) Sockets() int {
	s.sockets.mu.Lock()
	defer s.sockets.mu.Unlock()
	return len(s.sockets.open)
}
