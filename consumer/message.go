package consumer

import (
	"context"
	"strconv"
	"time"

	"github.com/kalamdb/kalam-go/wire"
)

// Message is one change of a row.
type Message struct {
	Topic      string
	Partition  int
	Offset     int64
	Key        string // the row's primary key as text; "" for a table without one
	User       string // whose row it is; in a SHARED table who changed it
	Op         string // insert, update, delete
	Time       time.Time
	Payload    []byte // JSON: what the source of the topic sends
	Deliveries int    // how often the group was given it, this time included

	x      *Consumer
	hasKey bool
	came   time.Time
	until  time.Time          // when the lease runs out; guarded by x.mu, like the rest
	handed bool               // its user has it
	gone   bool               // given back or lost while it waited: not to be handled
	cancel context.CancelFunc // of the handler that runs; nil for none
}

// String returns the message as text, for logs: where it is, whose, and its payload.
func (m *Message) String() string {
	return m.Topic + "[" + strconv.Itoa(m.Partition) + "]@" + strconv.FormatInt(m.Offset, 10) + " " + m.Op + " " + m.Key + " of " + m.User + ": " + string(m.Payload)
}

// Ack says that the message is done. It returns at once; the server is told
// together with what else is to be said, and told again until it has heard.
// Flush waits for that. Of several calls of Ack and Nack the first counts.
func (m *Message) Ack() { m.x.finish(m, isAck) }

// Nack gives the message back: the group gets it again after a time, and the
// later messages of its key only after it.
func (m *Message) Nack(after time.Duration) { m.x.finish(m, max(after, 0)) }

// finish settles a message on behalf of its user.
func (x *Consumer) finish(m *Message, delay time.Duration) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.held[m.place()] != m {
		return
	}
	x.settle(m, delay)
	if delay == isAck || !m.hasKey {
		return
	}
	// What has come of its key waits behind it.
	for _, later := range x.held {
		if !later.handed && later.hasKey && later.Partition == m.Partition && later.Offset > m.Offset && later.Key == m.Key && later.User == m.User {
			x.settle(later, 0)
		}
	}
}

// settle takes a message out of what is held. The lock is held.
func (x *Consumer) settle(m *Message, delay time.Duration) {
	delete(x.held, m.place())
	if delay == isAck {
		x.stats.Acked++
	} else {
		m.gone = true
		x.stats.Nacked++
	}
	x.settled = append(x.settled, settled{m.place(), delay, !m.handed})
	x.wake()
}

func (m *Message) place() place { return place{m.Partition, m.Offset} }

// receive takes messages over. The lock is held.
func (x *Consumer) receive(list []wire.TopicMessage, asked time.Time) []*Message {
	out := make([]*Message, len(list))
	block := make([]Message, len(list))
	for i := range list {
		w, m := &list[i], &block[i]
		*m = Message{
			Topic: w.Topic, Partition: w.Partition, Offset: w.Offset, Key: w.Key, User: w.User, Op: w.Op,
			Time: time.UnixMilli(w.TimestampMS), Payload: []byte(w.Payload), Deliveries: w.Deliveries,
			x: x, hasKey: w.HasKey, came: asked, until: asked.Add(x.lease),
		}
		x.stats.Received++
		if w.Deliveries > 1 {
			x.stats.Redelivered++
		}
		x.held[m.place()] = m
		out[i] = m
	}
	return out
}

// hand gives a message to its user; false when it is not to be handled any more.
func (x *Consumer) hand(m *Message) bool {
	x.mu.Lock()
	defer x.mu.Unlock()
	m.handed = true
	return !m.gone && x.held[m.place()] == m
}

// lost forgets a message that another consumer may have. The lock is held.
func (x *Consumer) lost(m *Message) {
	delete(x.held, m.place())
	m.gone = true
	x.stats.Lost++
	if m.cancel != nil {
		m.cancel()
	}
}
