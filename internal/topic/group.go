package topic

import (
	"github.com/kalamdb/kalam-go/internal/catalog"
	"github.com/kalamdb/kalam-go/internal/store"
	"github.com/kalamdb/kalam-go/wire"
)

var (
	partInsert = &store.Stmt{SQL: "INSERT INTO topic_parts(topic, part, floor) VALUES($1, $2, 0)", Args: types(wire.BigInt, wire.BigInt)}
	partFloor  = &store.Stmt{SQL: "UPDATE topic_parts SET floor = $3 WHERE topic = $1 AND part = $2 AND floor < $3", Args: types(wire.BigInt, wire.BigInt, wire.BigInt)}
	partEnds   = &store.Stmt{
		SQL:  "SELECT floor, head FROM topic_ends WHERE topic = $1 AND part = $2",
		Args: types(wire.BigInt, wire.BigInt), Cols: types(wire.BigInt, wire.BigInt),
	}
	groupRead = &store.Stmt{
		SQL:  "SELECT next, dropped FROM topic_groups WHERE topic = $1 AND grp = $2 AND part = $3",
		Args: types(wire.BigInt, wire.Text, wire.BigInt), Cols: types(wire.BigInt, wire.BigInt),
	}
	groupWrite = &store.Stmt{
		SQL: `INSERT INTO topic_groups(topic, grp, part, next, dropped, updated_at) VALUES($1, $2, $3, $4, $5, $6)
			ON CONFLICT(topic, grp, part) DO UPDATE SET next = excluded.next, dropped = excluded.dropped, updated_at = excluded.updated_at`,
		Args: types(wire.BigInt, wire.Text, wire.BigInt, wire.BigInt, wire.BigInt, wire.BigInt),
	}
	groupCount = &store.Stmt{
		SQL:  "SELECT count(DISTINCT grp) FROM topic_groups WHERE topic = $1",
		Args: types(wire.BigInt), Cols: types(wire.BigInt),
	}
	groupsOf = &store.Stmt{
		SQL:  "SELECT grp FROM topic_groups WHERE topic = $1 AND part = $2",
		Args: types(wire.BigInt, wire.BigInt), Cols: types(wire.Text),
	}
	claimRead = &store.Stmt{
		SQL:  "SELECT first, last, owner, held, until, deliveries FROM topic_claims WHERE topic = $1 AND grp = $2 AND part = $3 ORDER BY first",
		Args: types(wire.BigInt, wire.Text, wire.BigInt),
		Cols: types(wire.BigInt, wire.BigInt, wire.Text, wire.BigInt, wire.BigInt, wire.BigInt),
	}
	claimWrite = &store.Stmt{
		SQL: `INSERT INTO topic_claims(topic, grp, part, first, last, owner, held, until, deliveries) VALUES($1, $2, $3, $4, $5, $6, $7, $8, $9)
			ON CONFLICT(topic, grp, part, first) DO UPDATE SET last = excluded.last, owner = excluded.owner, held = excluded.held,
			until = excluded.until, deliveries = excluded.deliveries`,
		Args: types(wire.BigInt, wire.Text, wire.BigInt, wire.BigInt, wire.BigInt, wire.Text, wire.BigInt, wire.BigInt, wire.BigInt),
	}
	claimDelete = &store.Stmt{
		SQL:  "DELETE FROM topic_claims WHERE topic = $1 AND grp = $2 AND part = $3 AND first = $4",
		Args: types(wire.BigInt, wire.Text, wire.BigInt, wire.BigInt),
	}
)

func types(kinds ...wire.Kind) []wire.Type {
	out := make([]wire.Type, len(kinds))
	for i, k := range kinds {
		out[i].Kind = k
	}
	return out
}

// maxGroups bounds the consumer groups of a topic.
const maxGroups = 1000

// ends gives the offset of the oldest message of a partition and that of the
// next one.
func ends(tx *store.Tx, t *catalog.Topic, part int) (floor, head int64, err error) {
	err = tx.Query(partEnds, []wire.Value{wire.IntValue(t.ID), wire.IntValue(int64(part))}, func(row []wire.Value) error {
		floor, head = row[0].Int(), row[1].Int()
		return nil
	})
	return floor, head, err
}

// member is the place of a group in one partition, read in a transaction.
type member struct {
	tx    *store.Tx
	topic *catalog.Topic
	group string
	part  int
	cursor
	known bool    // the group has been here before
	was   cursor  // as it is stored
	head  int64   // offset of the next message
	keep  []claim // of was
}

// open reads a group's place in a partition. A new group has next 0.
func open(tx *store.Tx, t *catalog.Topic, group string, part int) (*member, error) {
	m := &member{tx: tx, topic: t, group: group, part: part}
	args := m.id()
	err := tx.Query(groupRead, args, func(row []wire.Value) error {
		m.next, m.dropped, m.known = row[0].Int(), row[1].Int(), true
		return nil
	})
	if err != nil {
		return nil, err
	}
	floor, head, err := ends(tx, t, part)
	if err != nil {
		return nil, err
	}
	m.head = head
	if !m.known {
		m.next = floor
		return m, nil
	}
	err = tx.Query(claimRead, args, func(row []wire.Value) error {
		m.claims = append(m.claims, claim{
			first: row[0].Int(), last: row[1].Int(), owner: row[2].Text(), held: row[3].Int() != 0,
			until: row[4].Int(), deliveries: int(row[5].Int()),
		})
		return nil
	})
	m.was = m.cursor
	m.keep = append([]claim(nil), m.claims...)
	m.clip(floor)
	return m, err
}

// lag counts the messages that the group has not acknowledged.
func (m *member) lag() int64 { return max(m.head-m.next, 0) + m.pending() }

func (m *member) id() []wire.Value {
	return []wire.Value{wire.IntValue(m.topic.ID), wire.TextValue(m.group), wire.IntValue(int64(m.part))}
}

// save stores what has changed.
func (m *member) save() error {
	before := make(map[int64]claim, len(m.keep))
	for _, x := range m.keep {
		before[x.first] = x
	}
	changed := !m.known || m.next != m.was.next || m.dropped != m.was.dropped
	for _, x := range m.claims {
		y, ok := before[x.first]
		delete(before, x.first)
		if ok && x == y {
			continue
		}
		changed = true
		held := int64(0)
		if x.held {
			held = 1
		}
		args := append(m.id(), wire.IntValue(x.first), wire.IntValue(x.last), wire.TextValue(x.owner), wire.IntValue(held),
			wire.IntValue(x.until), wire.IntValue(int64(x.deliveries)))
		if _, err := m.tx.Exec(claimWrite, args...); err != nil {
			return err
		}
	}
	for first := range before {
		changed = true
		if _, err := m.tx.Exec(claimDelete, append(m.id(), wire.IntValue(first))...); err != nil {
			return err
		}
	}
	if !changed {
		return nil
	}
	if !m.known {
		if err := m.mayJoin(); err != nil {
			return err
		}
	}
	_, err := m.tx.Exec(groupWrite, append(m.id(), wire.IntValue(m.next), wire.IntValue(m.dropped), wire.IntValue(m.tx.DB().Now().UnixMicro()))...)
	return err
}

// mayJoin refuses a group too many.
func (m *member) mayJoin() error {
	n := int64(0)
	err := m.tx.Query(groupCount, []wire.Value{wire.IntValue(m.topic.ID)}, func(row []wire.Value) error {
		n = row[0].Int()
		return nil
	})
	if err == nil && n >= maxGroups {
		err = wire.NewError(wire.CodeInvalidInput, "topic ", m.topic.FullName(), " has ", itoa(maxGroups), " consumer groups, which is the limit")
	}
	return err
}

// begin is where a new group starts.
func (m *member) begin(s wire.TopicStart) {
	floor := m.next
	switch {
	case s.HasOffset:
		m.next = min(max(s.Offset, floor), m.head)
	case s.Earliest:
		m.next = floor
	default:
		m.next = m.head
	}
}

// reset makes the group go on from an offset, whatever it has acknowledged.
func (m *member) reset(s wire.TopicStart) error {
	floor, _, err := ends(m.tx, m.topic, m.part)
	if err != nil {
		return err
	}
	m.next, m.claims = floor, nil
	m.begin(s)
	return m.save()
}

// keys reads the keys of messages, those of different users apart.
func (m *member) keys(first, last int64, fn func(offset int64, key string)) error {
	args := []wire.Value{wire.IntValue(m.topic.ID), wire.IntValue(int64(m.part)), wire.IntValue(first), wire.IntValue(last)}
	return m.tx.Query(messageKeys, args, func(row []wire.Value) error {
		key := ""
		if !row[2].IsNull() {
			key = row[1].Text() + "\x00" + row[2].Text()
		}
		fn(row[0].Int(), key)
		return nil
	})
}
