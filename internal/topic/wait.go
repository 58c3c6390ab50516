package topic

import (
	"sync"
	"time"

	"github.com/kalamdb/kalam-go/internal/store"
)

// waiting knows who waits for messages. A message wakes one consumer of each
// group: one who finds more than it takes wakes the next one.
type waiting struct {
	mu     sync.Mutex
	groups map[int64]map[string]*group // mu guards them; by topic and name
}

// group are those of one consumer group who wait, first come first.
type group struct {
	list  []*waiter
	timer *time.Timer // wakes one when a lease runs out; nil for none
	at    int64       // when it does, in milliseconds
}

// waiter is one consumer that waits.
type waiter struct {
	topic int64
	group string
	part  int           // -1: all
	wake  chan struct{} // of 1
}

func (w *waiter) matches(part int) bool { return part < 0 || w.part < 0 || w.part == part }

// join makes a waiter, and from the first one on listens to what commits do to
// topics.
func (s *Service) join(topic int64, name string, part int) *waiter {
	s.follow.Do(func() {
		news := s.db.Listen(store.AboutTopics)
		s.done.Go(func() {
			defer news.Close()
			for {
				news.Read(func(n store.Notice) { s.waiting.hear(n, s.db.Now().UnixMilli()) })
				select {
				case <-news.Wake:
				case <-s.closing:
					return
				}
			}
		})
	})
	return s.waiting.join(topic, name, part)
}

// hear wakes those whom a commit concerns; everybody, when it is not known whom.
func (q *waiting) hear(n store.Notice, now int64) {
	if n.Missed {
		q.all()
	}
	for _, t := range n.Topics {
		switch {
		case t.At > 0:
			q.at(t.Topic, t.Group, t.At, now)
		case t.Group != "":
			q.returned(t.Topic, t.Group)
		default:
			q.arrived(t.Topic, t.Part)
		}
	}
}

// join makes a waiter. It gets what arrives from here on.
func (q *waiting) join(topic int64, name string, part int) *waiter {
	w := &waiter{topic: topic, group: name, part: part, wake: make(chan struct{}, 1)}
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.groups == nil {
		q.groups = make(map[int64]map[string]*group)
	}
	byName := q.groups[topic]
	if byName == nil {
		byName = make(map[string]*group)
		q.groups[topic] = byName
	}
	g := byName[name]
	if g == nil {
		g = &group{}
		byName[name] = g
	}
	g.list = append(g.list, w)
	return w
}

// leave ends a waiter. A call that it has not answered goes to another one.
func (q *waiting) leave(w *waiter) {
	q.mu.Lock()
	defer q.mu.Unlock()
	g := q.groups[w.topic][w.group]
	for i, x := range g.list {
		if x == w {
			g.list = append(g.list[:i], g.list[i+1:]...)
			break
		}
	}
	select {
	case <-w.wake:
		g.one(w.part)
	default:
	}
	if len(g.list) > 0 {
		return
	}
	if g.timer != nil {
		g.timer.Stop()
	}
	delete(q.groups[w.topic], w.group)
	if len(q.groups[w.topic]) == 0 {
		delete(q.groups, w.topic)
	}
}

// one wakes the first who has not been woken; it goes to the end of the list.
func (g *group) one(part int) {
	for i, w := range g.list {
		if !w.matches(part) {
			continue
		}
		select {
		case w.wake <- struct{}{}:
			copy(g.list[i:], g.list[i+1:])
			g.list[len(g.list)-1] = w
			return
		default:
		}
	}
}

// arrived says that a partition has new messages.
func (q *waiting) arrived(topic int64, part int) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, g := range q.groups[topic] {
		g.one(part)
	}
}

// all wakes everybody.
func (q *waiting) all() {
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, byName := range q.groups {
		for _, g := range byName {
			for range g.list {
				g.one(-1)
			}
		}
	}
}

// returned says that a group may have messages that it could not have before.
func (q *waiting) returned(topic int64, name string) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if g := q.groups[topic][name]; g != nil {
		g.one(-1)
	}
}

// at calls returned at a time, both in milliseconds, 0 for never.
func (q *waiting) at(topic int64, name string, at, now int64) {
	if at == 0 {
		return
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	g := q.groups[topic][name]
	if g == nil || g.timer != nil && g.at <= at {
		return
	}
	if g.timer != nil {
		g.timer.Stop()
	}
	g.at = at
	g.timer = time.AfterFunc(time.Duration(max(at-now, 0)+1)*time.Millisecond, func() {
		q.mu.Lock()
		defer q.mu.Unlock()
		if h := q.groups[topic][name]; h == g && g.at == at {
			g.timer = nil
			g.one(-1)
		}
	})
}
