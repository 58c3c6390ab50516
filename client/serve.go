package client

import (
	"context"
	"errors"
	"strconv"
	"time"

	"github.com/kalamdb/kalam-go/wire"
)

// serving is the life of one connection. One goroutine reads it and hands over
// what came; the socket's goroutine does all the rest.
type serving struct {
	s    *socket
	l    *link
	byID map[string]*subscription

	// held is an event that its subscription's queue has no room for. While
	// there is one, nothing is taken from the connection.
	held      item
	heldBy    *subscription
	heldSince *time.Timer

	renewing bool          // a new token is being fetched, or its answer awaited
	offered  token         // the token sent in the last authenticate
	renewals chan renewal  // what came of it
	over     chan struct{} // closed when the connection has ended
	renewAt  *time.Timer

	heard  time.Time // when the last message came
	probed time.Time // when the server was asked to show that it is there; zero when it has
}

// renewal is a fresh token, or a fresh connection where the server takes no
// token in band.
type renewal struct {
	token token
	next  *link
	err   error
}

// serve runs a connection until it is lost, not needed any more (nil) or
// replaced by the link it returns. The connection is closed then.
func (s *socket) serve(ctx context.Context, l *link) (next *link, err error) {
	m := &serving{s: s, l: l, byID: map[string]*subscription{}, renewals: make(chan renewal), over: make(chan struct{}), heard: time.Now()}
	m.heldSince, m.renewAt = stopped(), stopped()
	defer m.heldSince.Stop()
	defer m.renewAt.Stop()
	s.endSome(ErrIdentityChanged, true, func(sub *subscription) bool { return sub.user != "" && sub.user != l.user })
	if !l.renews && !l.token.due.IsZero() {
		m.renewAt.Reset(max(time.Until(l.token.due), time.Second))
	}

	reading, stopReading := context.WithCancel(ctx)
	frames := make(chan frameOrError)
	readerGone := make(chan struct{})
	go func() {
		defer close(readerGone)
		for {
			f, err := receive(reading, l.conn)
			select {
			case frames <- frameOrError{f, err}:
			case <-reading.Done():
				return
			}
			if err != nil {
				return
			}
		}
	}()
	pinged := make(chan error, 1)
	pinging := false
	ping := time.NewTicker(orDefault(s.ping, pingEvery))
	defer ping.Stop()
	linger := stopped()
	defer linger.Stop()
	goodbye := 0
	defer func() {
		close(m.over)
		if m.heldBy != nil && !m.heldBy.loading {
			m.putToSleep(ctx)
		}
		l.conn.Close(goodbye, "")
		stopReading()
		<-readerGone
		if pinging {
			<-pinged
		}
	}()

	lingering, changed := false, true
	for {
		if changed {
			if err := m.flush(reading); err != nil {
				return nil, unavailable("socket", err)
			}
			idle, leave := s.idle()
			if leave {
				goodbye = 1000
				return nil, nil
			}
			if idle != lingering {
				lingering = idle
				if linger.Stop(); idle {
					linger.Reset(lingerTime)
				}
			}
			changed = false
		}
		in, room, gone := frames, (chan item)(nil), (chan struct{})(nil)
		if m.heldBy != nil {
			in, room, gone = nil, m.heldBy.events, m.heldBy.done
		}
		select {
		case f := <-in:
			m.heard = time.Now()
			err := f.err
			if err == nil {
				err = m.handle(reading, f.frame)
			} else {
				err = s.closed(l.token, err)
			}
			if err != nil {
				return nil, err
			}
		case room <- m.held:
			m.release()
		case <-gone:
			m.release()
		case <-m.heldSince.C:
			if err := m.toSleep(reading); err != nil {
				return nil, unavailable("socket", err)
			}
		case <-s.wake:
			changed = true
		case r := <-m.renewals:
			if r.next != nil {
				m.renewing = false
				return r.next, nil
			}
			if err := m.renewed(reading, r); err != nil {
				return nil, unavailable("socket", err)
			}
		case <-m.renewAt.C:
			m.renew(reading, need{ask: true, stale: l.token.text})
		case <-ping.C:
			if err := m.overdue(); err != nil {
				return nil, err
			}
			if !pings && m.heldBy == nil && time.Since(m.heard) > quietTime {
				if err := m.probe(reading); err != nil {
					return nil, unavailable("socket", err)
				}
			}
			if pinging || s.ping < 0 || m.heldBy != nil {
				continue // while held back no answer could be read
			}
			pinging = true
			go func() {
				ctx, stop := context.WithTimeout(reading, pingTimeout)
				defer stop()
				pinged <- l.conn.Ping(ctx)
			}()
		case err := <-pinged:
			pinging = false
			if err != nil && m.heldBy == nil {
				return nil, unavailable("socket", errors.New("the server does not answer"))
			}
		case <-linger.C:
			goodbye = 1000
			return nil, nil
		case <-ctx.Done():
			goodbye = 1000
			return nil, ctx.Err()
		}
	}
}

type frameOrError struct {
	frame *wire.ServerFrame
	err   error
}

func stopped() *time.Timer {
	t := time.NewTimer(time.Hour)
	t.Stop()
	return t
}

// flush sends what the subscriptions need: new ones, those to resume, those
// that were let go.
func (m *serving) flush(ctx context.Context) error {
	var out []*wire.ClientFrame
	m.s.mu.Lock()
	m.s.eager = false
	kept := make(map[*subscription]bool, len(m.s.subs))
	now := time.Now()
	for _, sub := range m.s.subs {
		kept[sub] = true
		if sub.anew {
			if sub.anew = false; sub.id != "" {
				delete(m.byID, sub.id)
				out = append(out, &wire.ClientFrame{Type: "unsubscribe", SubscriptionID: sub.id})
			}
			sub.restart()
		}
		if sub.id != "" || sub.asleep || now.Before(sub.retryAt) {
			continue
		}
		m.s.nextID++
		sub.id, sub.sent, sub.user = "s"+strconv.Itoa(m.s.nextID), now, m.l.user
		m.byID[sub.id] = sub
		out = append(out, sub.frame())
	}
	for id, sub := range m.byID {
		if !kept[sub] {
			delete(m.byID, id)
			out = append(out, &wire.ClientFrame{Type: "unsubscribe", SubscriptionID: id})
		}
	}
	changed, probe := m.s.renew, m.s.probe
	m.s.renew, m.s.probe = false, false
	m.s.mu.Unlock()
	for _, f := range out {
		if err := m.l.write(ctx, f); err != nil {
			return err
		}
	}
	if probe {
		if err := m.probe(ctx); err != nil {
			return err
		}
	}
	if changed && !m.renewing {
		m.renew(ctx, need{})
	}
	return nil
}

// probe makes the server answer: the only message that does is the one that
// signs in, and only where it renews.
func (m *serving) probe(ctx context.Context) error {
	if !m.l.renews || m.renewing || !m.probed.IsZero() {
		return nil
	}
	m.probed, m.offered = time.Now(), m.l.token
	return m.l.write(ctx, authenticate(m.l.token))
}

// handle does what a message of the server says.
func (m *serving) handle(ctx context.Context, f *wire.ServerFrame) error {
	sub := m.byID[f.SubscriptionID]
	switch f.Type {
	case "auth_expiring":
		if !m.renewing {
			m.renew(ctx, need{ask: true, stale: m.l.token.text})
		}
	case "auth_success":
		m.probed = time.Time{}
		if m.offered.text != "" {
			m.l.token, m.offered, m.renewing = m.offered, token{}, false
			m.s.accepted(m.l.token)
		}
		if f.User != m.l.user {
			m.s.endSome(ErrIdentityChanged, true, func(sub *subscription) bool { return sub.user != "" })
			return unavailable("socket", ErrIdentityChanged)
		}
	case "auth_error":
		t := m.l.token
		if m.offered.text != "" {
			t = m.offered
		}
		return m.s.refused(t, f.Code, f.Message)
	case "subscription_ack":
		if sub != nil {
			m.acknowledged(sub, f)
		}
	case "initial_data_batch":
		if sub != nil {
			return m.batch(ctx, sub, f)
		}
	case "change":
		if sub != nil {
			sub.advance(f.Rows)
			sub.advance(f.OldValues)
			m.enqueue(sub, item{kind: EventType(f.ChangeType), rows: f.Rows, old: f.OldValues})
		}
	case "error":
		return m.failed(sub, f)
	}
	return nil
}

func (m *serving) acknowledged(sub *subscription, f *wire.ServerFrame) {
	again := sub.connected
	sub.acked, sub.connected, sub.schema = true, true, f.Schema
	if sub.resumed && !f.Reset {
		if !again { // the caller's own position: it waits for the schema
			m.enqueue(sub, item{kind: EventAck})
		}
		return
	}
	sub.resumed, sub.hasPosition = false, false
	sub.loading = !sub.changesOnly || f.Reset
	if !sub.loading && f.BatchControl.HasLastSeqID {
		sub.reach(f.BatchControl.LastSeqID)
	}
	kind := EventAck
	if again || f.Reset {
		kind = EventReset
	}
	m.enqueue(sub, item{kind: kind, ready: !sub.loading})
}

func (m *serving) batch(ctx context.Context, sub *subscription, f *wire.ServerFrame) error {
	sub.advance(f.Rows)
	if f.BatchControl.HasLastSeqID {
		sub.reach(f.BatchControl.LastSeqID)
	}
	visible := sub.loading || len(f.Rows) > 0
	sub.loading = sub.loading && f.BatchControl.HasMore
	sub.wait.attempts = 0
	if visible {
		m.enqueue(sub, item{kind: EventSnapshot, rows: f.Rows, ready: !f.BatchControl.HasMore})
	}
	if !f.BatchControl.HasMore {
		return nil
	}
	more := &wire.ClientFrame{Type: "next_batch", SubscriptionID: sub.id, LastSeqID: sub.position, HasLastSeqID: sub.hasPosition}
	if err := m.l.write(ctx, more); err != nil {
		return unavailable("socket", err)
	}
	return nil
}

// failed handles an error message: of a subscription, of the sign-in, or of a
// limit of the connection.
func (m *serving) failed(sub *subscription, f *wire.ServerFrame) error {
	switch f.Code {
	case wire.CodeTokenExpired, wire.CodeSessionEnded, wire.CodeInvalidCredentials, wire.CodeAuthRequired:
		return m.s.refused(m.l.token, f.Code, f.Message)
	}
	if sub == nil {
		if f.Code == wire.CodeRateLimited {
			for id, sub := range m.byID {
				if !sub.acked {
					delete(m.byID, id)
					m.retry(sub)
				}
			}
		}
		return nil
	}
	delete(m.byID, sub.id)
	switch f.Code {
	case wire.CodeSlowConsumer:
		if !sub.hasPosition && f.HasLastSeqID {
			sub.reach(f.LastSeqID)
		}
		m.retry(sub)
		return nil
	case wire.CodeRateLimited:
		m.retry(sub)
		return nil
	case wire.CodeSubscriptionFailed, wire.CodeBatchFetchFailed, wire.CodeSubscriptionLimit,
		wire.CodeInternal, wire.CodeUnavailable, wire.CodeDatabaseUnavailable:
		if sub.connected { // it was good before, so this will pass
			m.retry(sub)
			return nil
		}
	}
	err := &failure{cause: classify(0, &wire.Error{Code: f.Code, Message: f.Message})}
	discard := f.Code == wire.CodeIdentityChanged
	m.s.endSome(err, discard, func(other *subscription) bool { return other == sub })
	return nil
}

// retry sends a subscription again a little later.
func (m *serving) retry(sub *subscription) {
	sub.interrupted()
	if sub.wait.first == 0 {
		sub.wait = backoff{first: 500 * time.Millisecond, most: 10 * time.Second}
	}
	d := sub.wait.next()
	sub.retryAt = time.Now().Add(d)
	time.AfterFunc(d, m.s.poke)
}

// overdue reports a question that the server did not answer in time.
func (m *serving) overdue() error {
	if !m.probed.IsZero() && time.Since(m.probed) > pingTimeout && m.heldBy == nil {
		return unavailable("socket", errors.New("the server does not answer"))
	}
	for _, sub := range m.byID {
		if !sub.acked && time.Since(sub.sent) > ackTimeout && m.heldBy == nil {
			return unavailable("subscribe", errors.New("the server does not answer"))
		}
	}
	return nil
}

// enqueue gives an event to the consumer. When its queue is full, the socket is
// held back: nothing is read until there is room again. After two seconds of
// that the subscription is put to sleep instead, so that the others go on; but
// not while its snapshot loads, which it would have to begin again.
func (m *serving) enqueue(sub *subscription, it item) {
	if it.schema = sub.schema; !sub.loading {
		it.position = sub.position // a part of a snapshot is nothing to go on from
	}
	select {
	case sub.events <- it:
	default:
		m.held, m.heldBy = it, sub
		if !sub.loading {
			m.heldSince.Reset(holdTimeout)
		}
	}
}

func (m *serving) release() {
	m.held, m.heldBy = item{}, nil
	m.heldSince.Stop()
}

// toSleep takes the held subscription off the server.
func (m *serving) toSleep(ctx context.Context) error {
	id := m.heldBy.id
	delete(m.byID, id)
	m.heldBy.interrupted()
	m.putToSleep(ctx)
	return m.l.write(ctx, &wire.ClientFrame{Type: "unsubscribe", SubscriptionID: id})
}

// putToSleep lets the held event wait on its own. The subscription resumes
// after it, when its consumer has taken it and so everything before.
func (m *serving) putToSleep(ctx context.Context) {
	sub, it := m.heldBy, m.held
	m.release()
	m.s.mu.Lock()
	sub.asleep = true
	m.s.mu.Unlock()
	it.last = true
	waiting, stop := context.WithCancel(context.WithoutCancel(ctx))
	m.s.c.spawn(stop, func() {
		select {
		case sub.events <- it:
		case <-sub.done:
		case <-waiting.Done():
		}
	})
}

// renew fetches a token in the background; where the server takes none in
// band, a second connection with it.
func (m *serving) renew(ctx context.Context, n need) {
	m.renewing = true
	old, inBand := m.l.token.text, m.l.renews
	ctx, stop := context.WithTimeout(ctx, m.s.c.session.timeout+dialTimeout)
	if !m.s.c.spawn(stop, func() {
		t, err := m.s.c.session.get(ctx, n)
		r := renewal{token: t, err: err}
		if err == nil && t.text != old && !inBand {
			r.next, r.err = m.s.connectWith(ctx, t)
		}
		select {
		case m.renewals <- r:
		case <-m.over:
			if r.next != nil {
				r.next.conn.Close(1000, "")
			}
		}
	}) {
		stop()
		m.renewing = false
	}
}

// renewed sends the new token, or tries again later when there is none: the
// connection is good until the server says otherwise.
func (m *serving) renewed(ctx context.Context, r renewal) error {
	if r.err != nil || r.token.text == m.l.token.text || !m.l.renews {
		m.renewing = false
		switch {
		case r.err != nil && isFinal(r.err):
			m.s.endAll(r.err)
		case r.err != nil || !r.token.due.IsZero():
			m.renewAt.Reset(5 * time.Second)
		}
		return nil
	}
	m.offered = r.token
	return m.l.write(ctx, authenticate(r.token))
}
