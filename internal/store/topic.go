package store

import (
	"encoding/json"
	"fmt"

	"github.com/kalamdb/kalam-go/internal/catalog"
	"github.com/kalamdb/kalam-go/internal/sqlgen"
	"github.com/kalamdb/kalam-go/wire"
)

var (
	topicInsert = &Stmt{SQL: "INSERT INTO topics(id, namespace, name, definition) VALUES($1, $2, $3, $4)", Args: types(wire.BigInt, wire.Text, wire.Text, wire.Text)}
	topicUpdate = &Stmt{SQL: "UPDATE topics SET definition = $2 WHERE id = $1", Args: types(wire.BigInt, wire.Text)}
	topicDelete = &Stmt{SQL: "DELETE FROM topics WHERE id = $1", Args: types(wire.BigInt)}
	topicAll    = &Stmt{SQL: "SELECT definition FROM topics", Cols: types(wire.Text)}
)

// CreateTopic adds a topic, and gives it its id and times. The name must be
// free.
func (tx *Tx) CreateTopic(t *catalog.Topic) error {
	t.ID, t.Version = tx.db.NextID(), 1
	t.CreatedAt = tx.db.Now().UnixMicro()
	t.UpdatedAt = t.CreatedAt
	definition, err := json.Marshal(t)
	if err != nil {
		return fmt.Errorf("definition of a topic: %w", err)
	}
	tx.defined(catalog.Definition{Topic: t})
	_, err = tx.Exec(topicInsert, wire.IntValue(t.ID), wire.TextValue(t.Namespace), wire.TextValue(t.Name), wire.TextValue(string(definition)))
	return err
}

// RedefineTopic makes t, a changed Clone, the definition of its topic.
func (tx *Tx) RedefineTopic(t *catalog.Topic) error {
	t.UpdatedAt = tx.db.Now().UnixMicro()
	definition, err := json.Marshal(t)
	if err != nil {
		return fmt.Errorf("definition of a topic: %w", err)
	}
	tx.defined(catalog.Definition{Topic: t})
	_, err = tx.Exec(topicUpdate, wire.IntValue(t.ID), wire.TextValue(string(definition)))
	return err
}

// DropTopic removes the definition of a topic; its messages are removed by
// whoever keeps them.
func (tx *Tx) DropTopic(t *catalog.Topic) error {
	tx.defined(catalog.Definition{Topic: t, Drop: true})
	_, err := tx.Exec(topicDelete, wire.IntValue(t.ID))
	return err
}

// readTopics reads the definitions.
func readTopics(tx *Tx) ([]*catalog.Topic, error) {
	var topics []*catalog.Topic
	err := tx.Query(topicAll, nil, func(row []wire.Value) error {
		t := new(catalog.Topic)
		if err := json.Unmarshal([]byte(row[0].Text()), t); err != nil {
			return fmt.Errorf("definition of a topic: %w", err)
		}
		topics = append(topics, t)
		return nil
	})
	return topics, err
}

// Written returns what the transaction has changed so far, in order. What a
// savepoint took back is not among it. The changes must not be changed.
func (tx *Tx) Written() []*Change { return tx.write.did.notice.Changes }

// topicTables are the tables of system about topics.
func topicTables(target sqlgen.Target) []*catalog.Table {
	col := catalog.Col
	return []*catalog.Table{
		catalog.NewSystem(catalog.SystemNamespace, "topics", []catalog.Column{
			col("topic_id", wire.Text, true), col("name", wire.Text, true), col("alias", wire.Text, false),
			col("partitions", wire.Int, true), col("retention_seconds", wire.BigInt, false), col("retention_max_bytes", wire.BigInt, false),
			col("routes", wire.JSON, true), col("created_at", wire.Timestamp, true), col("updated_at", wire.Timestamp, true),
			col("messages", wire.BigInt, true), col("lag", wire.BigInt, true), col("grants", wire.JSON, true),
		}, `SELECT t.name AS topic_id, t.name, NULL AS alias, t.partitions, t.retention_seconds, t.retention_max_bytes,
			t.routes, t.created_at, t.updated_at,
			(SELECT coalesce(sum(head - floor), 0) FROM topic_ends e WHERE e.topic = t.id) AS messages,
			coalesce((SELECT max(g.lag) FROM (SELECT sum(o.lag) AS lag FROM (`+offsetsSQL+`) AS o WHERE o.topic = t.id GROUP BY o.group_id) AS g), 0) AS lag,
			t.grants FROM (`+target.Definitions("topics")+`) AS t`, nil),
		catalog.NewSystem(catalog.SystemNamespace, "topic_offsets", []catalog.Column{
			col("topic_id", wire.Text, true), col("group_id", wire.Text, true), col("partition_id", wire.Int, true),
			col("last_acked_offset", wire.BigInt, true), col("updated_at", wire.Timestamp, true),
			col("next_offset", wire.BigInt, true), col("end_offset", wire.BigInt, true), col("lag", wire.BigInt, true),
			col("pending", wire.BigInt, true), col("dropped", wire.BigInt, true),
		}, "SELECT topic_id, group_id, partition_id, last_acked_offset, updated_at, next_offset, end_offset, lag, pending, dropped FROM ("+offsetsSQL+") AS o", nil),
	}
}

// offsetsSQL is where each group stands in each partition. lag counts what it
// has not acknowledged, pending what of that it has been given, and dropped what
// retention removed before.
const offsetsSQL = `SELECT t.id AS topic, t.namespace || '.' || t.name AS topic_id, g.grp AS group_id, g.part AS partition_id,
	coalesce((SELECT min(first) FROM topic_claims c WHERE c.topic = g.topic AND c.grp = g.grp AND c.part = g.part), g.next) - 1 AS last_acked_offset,
	g.updated_at, g.next AS next_offset, e.head AS end_offset,
	CASE WHEN e.head > g.next THEN e.head - g.next ELSE 0 END + coalesce((SELECT sum(last - first + 1) FROM topic_claims c WHERE c.topic = g.topic AND c.grp = g.grp AND c.part = g.part), 0) AS lag,
	coalesce((SELECT sum(last - first + 1) FROM topic_claims c WHERE c.topic = g.topic AND c.grp = g.grp AND c.part = g.part AND c.held <> 0), 0) AS pending,
	g.dropped FROM topic_groups g JOIN topics t ON t.id = g.topic JOIN topic_ends e ON e.topic = g.topic AND e.part = g.part`
