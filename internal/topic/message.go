package topic

import (
	"errors"

	"github.com/kalamdb/kalam-go/internal/catalog"
	"github.com/kalamdb/kalam-go/internal/store"
	"github.com/kalamdb/kalam-go/wire"
)

var (
	messageInsert = &store.Stmt{
		SQL: "INSERT INTO messages(topic, part, off, at, op, usr, key, total, payload) VALUES($1, $2, $3, $4, $5, $6, $7, $8, $9)",
		Args: types(wire.BigInt, wire.BigInt, wire.BigInt, wire.BigInt, wire.BigInt, wire.Text, wire.Text,
			wire.BigInt, wire.Text),
	}
	messageLast = &store.Stmt{
		SQL:  "SELECT off, total FROM messages WHERE topic = $1 AND part = $2 ORDER BY off DESC LIMIT 1",
		Args: types(wire.BigInt, wire.BigInt), Cols: types(wire.BigInt, wire.BigInt),
	}
	messageKeys = &store.Stmt{
		SQL:  "SELECT off, usr, key FROM messages WHERE topic = $1 AND part = $2 AND off BETWEEN $3 AND $4 ORDER BY off",
		Args: types(wire.BigInt, wire.BigInt, wire.BigInt, wire.BigInt), Cols: types(wire.BigInt, wire.Text, wire.Text),
	}
	messageRead = &store.Stmt{
		SQL:  "SELECT off, at, op, usr, key, payload FROM messages WHERE topic = $1 AND part = $2 AND off BETWEEN $3 AND $4 ORDER BY off LIMIT $5",
		Args: types(wire.BigInt, wire.BigInt, wire.BigInt, wire.BigInt, wire.BigInt),
		Cols: types(wire.BigInt, wire.BigInt, wire.BigInt, wire.Text, wire.Text, wire.Text),
	}
)

// overhead is what a message takes beside its payload, roughly.
const overhead = 64

// end is the end of a partition while messages are appended.
type end struct{ next, total int64 }

type partitionKey struct {
	topic int64
	part  int
}

// appendMessages stores messages behind those that are there.
func appendMessages(tx *store.Tx, list []Message) (touched []partitionKey, err error) {
	ends := make(map[partitionKey]end, 1)
	now := wire.IntValue(tx.DB().Now().UnixMilli())
	for i := range list {
		m := &list[i]
		key := partitionKey{m.Topic.ID, m.Partition}
		e, ok := ends[key]
		if !ok {
			if e, err = readEnd(tx, m.Topic, m.Partition); err != nil {
				return nil, err
			}
			touched = append(touched, key)
		}
		text := wire.Null
		if m.HasKey {
			text = wire.TextValue(m.Key)
		}
		e.total += int64(len(m.Payload)) + overhead
		_, err := tx.Exec(messageInsert, wire.IntValue(m.Topic.ID), wire.IntValue(int64(m.Partition)), wire.IntValue(e.next), now,
			wire.IntValue(int64(m.Op)), wire.TextValue(m.User), text, wire.IntValue(e.total), wire.TextValue(string(m.Payload)))
		if err != nil {
			return nil, err
		}
		e.next++
		ends[key] = e
	}
	return touched, nil
}

// readEnd finds where a partition ends. When retention has taken the last
// message, its floor says so.
func readEnd(tx *store.Tx, t *catalog.Topic, part int) (end, error) {
	e, found := end{}, false
	err := tx.Query(messageLast, []wire.Value{wire.IntValue(t.ID), wire.IntValue(int64(part))}, func(row []wire.Value) error {
		e, found = end{row[0].Int() + 1, row[1].Int()}, true
		return nil
	})
	if err != nil || found {
		return e, err
	}
	_, e.next, err = ends(tx, t, part)
	return e, err
}

var errEnough = errors.New("enough")

// read appends the messages of a range to out and stops behind the one that
// makes their payloads larger than room bytes. It returns the room that is left.
func read(query func(*store.Stmt, []wire.Value, func([]wire.Value) error) error, t *catalog.Topic, part int, r Range, deliveries int, room int, out *[]wire.TopicMessage) (int, error) {
	args := []wire.Value{wire.IntValue(t.ID), wire.IntValue(int64(part)), wire.IntValue(r.First), wire.IntValue(r.Last), wire.IntValue(r.Last - r.First + 1)}
	name := t.FullName()
	err := query(messageRead, args, func(row []wire.Value) error {
		if room <= 0 {
			return errEnough
		}
		m := wire.TopicMessage{
			Topic: name, Partition: part, Offset: row[0].Int(), TimestampMS: row[1].Int(), Op: store.Op(row[2].Int()).String(),
			User: row[3].Text(), Key: row[4].Text(), HasKey: !row[4].IsNull(), Payload: row[5].Text(), Deliveries: deliveries,
		}
		room -= len(m.Payload)
		*out = append(*out, m)
		return nil
	})
	if err == errEnough {
		err = nil
	}
	return room, err
}
