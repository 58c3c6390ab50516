package topic

import (
	"context"
	"slices"
	"strconv"
	"time"

	"github.com/kalamdb/kalam-go/internal/catalog"
	"github.com/kalamdb/kalam-go/internal/store"
	"github.com/kalamdb/kalam-go/wire"
)

// Settle is what an acknowledgement does to messages that a consumer has.
type Settle uint8

// The kinds of Settle.
const (
	Ack    Settle = iota // they are done
	Nack                 // somebody shall have them again
	Extend               // the lease begins anew
)

// Settle acknowledges, gives back or extends what a consumer has, who is user.
func (s *Service) Settle(ctx context.Context, user string, t *catalog.Topic, r *wire.AckRequest, kind Settle) (*wire.AckResponse, error) {
	return store.Write(ctx, s.db.For(user), func(tx *store.Tx) (*wire.AckResponse, error) { return s.SettleIn(tx, t, r, kind) })
}

// SettleIn is Settle inside a transaction.
func (s *Service) SettleIn(tx *store.Tx, t *catalog.Topic, r *wire.AckRequest, kind Settle) (*wire.AckResponse, error) {
	if r.Partition >= t.Partitions {
		return nil, errPartition(t, r.Partition)
	}
	m, err := open(tx, t, r.Group, r.Partition)
	if err != nil {
		return nil, err
	}
	if !m.known {
		return nil, wire.NewError(wire.CodeGroupNotFound, "consumer group '", r.Group, "' has consumed nothing from partition ", itoa(r.Partition), " of topic ", t.FullName())
	}
	ranges := make([]Range, 0, len(r.Ranges)+1)
	for _, x := range r.Ranges {
		ranges = append(ranges, Range(x))
	}
	if r.HasUpTo {
		ranges = append(ranges, Range{0, r.UpTo})
	}
	ranges = sortRanges(ranges)
	if last := ranges[len(ranges)-1].Last; last >= m.next {
		return nil, wire.NewError(wire.CodeNotDelivered, "offset ", strconv.FormatInt(last, 10), " of partition ", itoa(r.Partition), " was not delivered to group '", r.Group,
			"': the next one to be is ", strconv.FormatInt(m.next, 10), "; to skip messages, reset the group")
	}
	now := s.db.Now()
	resp := &wire.AckResponse{Success: true}
	var lost []Range
	for _, x := range ranges {
		var gone []Range
		switch kind {
		case Ack:
			_, gone = m.ack(r.Consumer, x)
		case Nack:
			gone = m.release(r.Consumer, x, now.UnixMilli()+min(r.DelayMS, maxDelay.Milliseconds()), r.Unused)
		case Extend:
			gone = m.extend(r.Consumer, x, now.Add(s.options.Visibility).UnixMilli())
			resp.Lease = s.options.Visibility.Milliseconds()
		}
		lost = append(lost, gone...)
	}
	resp.Acknowledged = m.committed() - 1
	if r.HasUpTo {
		resp.Acknowledged = r.UpTo
		lost = nil // it is about what this consumer has, wherever that is
	}
	for _, x := range sortRanges(slices.Clone(lost)) {
		resp.Lost = append(resp.Lost, wire.TopicRange(x))
	}
	switch {
	case kind == Extend:
	case kind == Nack && r.DelayMS > 0:
		tellAt(tx, t, r.Group, now.UnixMilli()+r.DelayMS)
	default:
		tellReturned(tx, t, r.Group)
	}
	return resp, m.save()
}

// tellReturned tells with the commit that a group may have messages that it could
// not have before.
func tellReturned(tx *store.Tx, t *catalog.Topic, group string) {
	tx.Tell(store.Notice{Topics: []store.TopicNotice{{Topic: t.ID, Part: -1, Group: group}}})
}

// tellAt tells with the commit that it may at a time, in milliseconds.
func tellAt(tx *store.Tx, t *catalog.Topic, group string, at int64) {
	tx.Tell(store.Notice{Topics: []store.TopicNotice{{Topic: t.ID, Part: -1, Group: group, At: at}}})
}

// maxDelay bounds how long a message that is given back stays away.
const maxDelay = 24 * time.Hour

// Committed is the last offset up to which a group has acknowledged everything,
// -1 for none.
func (s *Service) Committed(tx *store.Tx, t *catalog.Topic, group string, part int) (int64, error) {
	m, err := open(tx, t, group, part)
	if err != nil {
		return 0, err
	}
	return m.committed() - 1, nil
}

// Reset makes a group go on from a position in one partition, or in all for -1.
// What its consumers have leased is no longer theirs.
func (s *Service) Reset(tx *store.Tx, t *catalog.Topic, group string, part int, to wire.TopicStart) error {
	if part >= t.Partitions {
		return errPartition(t, part)
	}
	for p := range t.Partitions {
		if part >= 0 && p != part {
			continue
		}
		m, err := open(tx, t, group, p)
		if err != nil {
			return err
		}
		if err := m.reset(to); err != nil {
			return err
		}
	}
	tellReturned(tx, t, group)
	return nil
}
