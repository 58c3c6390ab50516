package topic

import (
	"context"
	"time"

	"github.com/kalamdb/kalam-go/internal/catalog"
	"github.com/kalamdb/kalam-go/internal/store"
	"github.com/kalamdb/kalam-go/wire"
)

const removeChunk = 2000 // messages removed in one write, so that others get in between

var (
	retainFirst = &store.Stmt{
		SQL:  "SELECT off, at, total FROM messages WHERE topic = $1 AND part = $2 AND off >= $3 ORDER BY off LIMIT 1",
		Args: types(wire.BigInt, wire.BigInt, wire.BigInt), Cols: types(wire.BigInt, wire.BigInt, wire.BigInt),
	}
	removeBelow = &store.Stmt{
		SQL: `DELETE FROM messages WHERE topic = $1 AND part = $2 AND off < $3 AND off IN
			(SELECT off FROM messages WHERE topic = $1 AND part = $2 ORDER BY off LIMIT $4)`,
		Args: types(wire.BigInt, wire.BigInt, wire.BigInt, wire.BigInt),
	}
	allParts = &store.Stmt{
		SQL:  "SELECT topic, part, floor, (SELECT min(off) FROM messages m WHERE m.topic = p.topic AND m.part = p.part) FROM topic_parts p",
		Cols: types(wire.BigInt, wire.BigInt, wire.BigInt, wire.BigInt),
	}
	forget = []*store.Stmt{
		{SQL: "DELETE FROM topic_claims WHERE topic = $1 AND part = $2", Args: types(wire.BigInt, wire.BigInt)},
		{SQL: "DELETE FROM topic_groups WHERE topic = $1 AND part = $2", Args: types(wire.BigInt, wire.BigInt)},
		{SQL: "DELETE FROM topic_parts WHERE topic = $1 AND part = $2", Args: types(wire.BigInt, wire.BigInt)},
	}
)

// retain removes messages that are too old or too many, and those of topics
// that were dropped or cleared.
func (s *Service) retain() {
	tick := time.NewTicker(s.options.RetainEvery)
	defer tick.Stop()
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	go func() {
		select {
		case <-s.closing:
			cancel()
		case <-ctx.Done():
		}
	}()
	for {
		select {
		case <-tick.C:
		case <-s.closing:
			return
		}
		if err := s.guardedRetain(ctx); err != nil && ctx.Err() == nil {
			s.options.Logger.Error("remove old messages", "error", err)
		}
	}
}

// guardedRetain is Retain, with a panic as an error.
func (s *Service) guardedRetain(ctx context.Context) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = s.panicked("panic while removing old messages", p)
		}
	}()
	return s.Retain(ctx)
}

// stored is a partition as it is on disk.
type stored struct {
	topic, part, floor int64
	first              int64 // offset of the oldest message that is there; floor when there is none
}

// Retain removes what retention does not keep. The server calls it by itself.
func (s *Service) Retain(ctx context.Context) error {
	var parts []stored
	err := s.db.Read(ctx, func(tx *store.Tx) error {
		parts = parts[:0]
		return tx.Query(allParts, nil, func(row []wire.Value) error {
			p := stored{row[0].Int(), row[1].Int(), row[2].Int(), row[2].Int()}
			if !row[3].IsNull() {
				p.first = row[3].Int()
			}
			parts = append(parts, p)
			return nil
		})
	})
	if err != nil {
		return err
	}
	for _, p := range parts {
		if err := s.retainPart(ctx, p); err != nil {
			return err
		}
	}
	return nil
}

// retainPart moves the floor of a partition to what retention keeps, and
// removes what lies below.
func (s *Service) retainPart(ctx context.Context, p stored) error {
	t := s.db.Catalog().TopicByID(p.topic)
	floor := p.floor
	if t == nil {
		floor = 1<<63 - 1
	} else if upTo, err := s.expired(ctx, t, int(p.part), floor); err != nil {
		return err
	} else if upTo > floor {
		floor = upTo
		if err := s.raise(ctx, t, int(p.part), floor); err != nil {
			return err
		}
	}
	if t != nil && p.first >= floor {
		return nil // the writer is not bothered
	}
	for {
		removed, err := store.Write(ctx, s.db, func(tx *store.Tx) (int64, error) {
			if t == nil && tx.Catalog().TopicByID(p.topic) != nil {
				return 0, nil // it is new, and was not in the catalog yet
			}
			removed, err := tx.Exec(removeBelow, wire.IntValue(p.topic), wire.IntValue(p.part), wire.IntValue(floor), wire.IntValue(removeChunk))
			if err != nil || t != nil || removed == removeChunk {
				return removed, err
			}
			for _, st := range forget {
				if _, err := tx.Exec(st, wire.IntValue(p.topic), wire.IntValue(p.part)); err != nil {
					return 0, err
				}
			}
			return removed, nil
		})
		if err != nil || removed < removeChunk {
			return err
		}
	}
}

// expired is the offset below which retention keeps nothing.
func (s *Service) expired(ctx context.Context, t *catalog.Topic, part int, floor int64) (int64, error) {
	id := []wire.Value{wire.IntValue(t.ID), wire.IntValue(int64(part))}
	upTo := floor
	err := s.db.Read(ctx, func(tx *store.Tx) error {
		upTo = floor
		first, at, begin := int64(-1), int64(0), int64(0)
		err := tx.Query(retainFirst, append(id, wire.IntValue(floor)), func(row []wire.Value) error {
			first, at, begin = row[0].Int(), row[1].Int(), row[2].Int()
			return nil
		})
		if err != nil || first < 0 {
			return err
		}
		last, err := readEnd(tx, t, part)
		if err != nil {
			return err
		}
		// Both measures rise with the offset: the boundary is found by halving.
		probe := func(keep func(at, total int64) bool) (int64, error) {
			lo, hi := first, last.next
			for lo < hi {
				mid := lo + (hi-lo)/2
				ok := true
				err := tx.Query(retainFirst, append(id, wire.IntValue(mid)), func(row []wire.Value) error {
					ok = keep(row[1].Int(), row[2].Int())
					return nil
				})
				if err != nil {
					return 0, err
				}
				if ok {
					hi = mid
				} else {
					lo = mid + 1
				}
			}
			return lo, nil
		}
		if t.RetentionSeconds > 0 {
			oldest := s.db.Now().UnixMilli() - t.RetentionSeconds*1000
			if at < oldest {
				n, err := probe(func(at, _ int64) bool { return at >= oldest })
				if err != nil {
					return err
				}
				upTo = max(upTo, n)
			}
		}
		if t.RetentionBytes > 0 && last.total-begin > t.RetentionBytes {
			n, err := probe(func(_, total int64) bool { return last.total-total < t.RetentionBytes })
			if err != nil {
				return err
			}
			upTo = max(upTo, min(n, last.next-1)) // the newest message stays
		}
		return nil
	})
	return upTo, err
}

// raise moves the floor of a partition and says which groups lose messages that
// they have not acknowledged.
func (s *Service) raise(ctx context.Context, t *catalog.Topic, part int, floor int64) error {
	lost, err := store.Write(ctx, s.db, func(tx *store.Tx) (map[string]int64, error) { return s.raiseIn(tx, t, part, floor) })
	if err != nil {
		return err
	}
	for group, n := range lost {
		s.options.Logger.Warn("retention has removed messages that a consumer group had not acknowledged",
			"topic", t.FullName(), "partition", part, "group", group, "messages", n)
	}
	return nil
}

// raiseIn is raise in a transaction. It returns how many messages each group
// loses.
func (s *Service) raiseIn(tx *store.Tx, t *catalog.Topic, part int, floor int64) (lost map[string]int64, err error) {
	id := []wire.Value{wire.IntValue(t.ID), wire.IntValue(int64(part))}
	if _, err := tx.Exec(partFloor, append(id, wire.IntValue(floor))...); err != nil {
		return nil, err
	}
	var groups []string
	err = tx.Query(groupsOf, id, func(row []wire.Value) error {
		groups = append(groups, row[0].Text())
		return nil
	})
	if err != nil {
		return nil, err
	}
	lost = make(map[string]int64)
	for _, name := range groups {
		m, err := open(tx, t, name, part) // which clips it
		if err != nil {
			return nil, err
		}
		if n := m.dropped - m.was.dropped; n > 0 {
			lost[name] = n
		}
		if err := m.save(); err != nil {
			return nil, err
		}
	}
	return lost, nil
}

// Clear drops all messages of a topic; the numbering goes on.
func (s *Service) Clear(tx *store.Tx, t *catalog.Topic) error {
	for part := range t.Partitions {
		_, head, err := ends(tx, t, part)
		if err != nil {
			return err
		}
		if _, err := s.raiseIn(tx, t, part, head); err != nil {
			return err
		}
	}
	return nil
}
