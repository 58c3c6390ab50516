package store

import "sync"

// ring holds the latest changes in memory for live readers. When it is full
// the oldest leave; a reader that needs those reads them from disk.
type ring struct {
	mu      sync.Mutex
	changes []*Change     // mu guards the fields below too; ascending by Seq
	bytes   int           // of changes
	limit   int           // of bytes
	floor   Seq           // every committed change above floor is in changes
	newest  Seq           // position of the newest commit
	wake    chan struct{} // closed at the next commit; nil when nobody waits
}

// publish adds the changes of one commit.
func (r *ring) publish(changes []*Change) {
	if len(changes) == 0 {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, c := range changes {
		r.bytes += c.Size()
	}
	r.changes = append(r.changes, changes...)
	r.newest = changes[len(changes)-1].Seq
	drop := 0
	for r.bytes > r.limit && drop < len(r.changes)-1 {
		r.bytes -= r.changes[drop].Size()
		r.floor = r.changes[drop].Seq
		r.changes[drop] = nil
		drop++
	}
	r.changes = r.changes[drop:]
	if r.wake != nil {
		close(r.wake)
		r.wake = nil
	}
}

// after returns up to limit changes above pos, oldest first. When the ring no
// longer reaches back to pos, ok is false. When there is nothing yet, wait is
// closed at the next commit.
func (r *ring) after(pos Seq, limit int) (out []*Change, ok bool, wait <-chan struct{}) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if pos < r.floor {
		return nil, false, nil
	}
	if pos >= r.newest {
		if r.wake == nil {
			r.wake = make(chan struct{})
		}
		return nil, true, r.wake
	}
	// Readers are almost always near the end.
	i := len(r.changes)
	for i > 0 && r.changes[i-1].Seq > pos {
		i--
	}
	out = append(out, r.changes[i:min(i+limit, len(r.changes))]...)
	return out, true, nil
}
