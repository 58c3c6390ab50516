package store

import (
	"context"

	"github.com/kalamdb/kalam-go/internal/catalog"
	"github.com/kalamdb/kalam-go/wire"
)

// keptJobs is how many jobs system.jobs shows; older ones are forgotten.
const keptJobs = 1000

// Job is an operation on the storage that has been completed, as system.jobs
// shows it.
type Job struct {
	ID         string
	Type       string // flush or compact
	Parameters string // JSON
	Message    string
	Started    int64 // microseconds
}

var (
	jobInsert = &Stmt{
		SQL: "INSERT INTO jobs (id, type, parameters, message, started_at, finished_at) VALUES ($1, $2, $3, $4, $5, $6)",
		Args: []wire.Type{
			{Kind: wire.Text}, {Kind: wire.Text}, {Kind: wire.Text}, {Kind: wire.Text}, {Kind: wire.BigInt}, {Kind: wire.BigInt},
		},
	}
	jobTrim = &Stmt{
		SQL:  "DELETE FROM jobs WHERE number <= (SELECT max(number) FROM jobs) - $1",
		Args: []wire.Type{{Kind: wire.BigInt}},
	}
)

// AddJob records a job that has just been completed.
func (tx *Tx) AddJob(j Job) error {
	_, err := tx.Exec(jobInsert, wire.TextValue(j.ID), wire.TextValue(j.Type), wire.TextValue(j.Parameters), wire.TextValue(j.Message),
		wire.IntValue(j.Started), wire.IntValue(tx.DB().Now().UnixMicro()))
	if err == nil {
		_, err = tx.Exec(jobTrim, wire.IntValue(keptJobs))
	}
	return err
}

// Flush moves the engine's write-ahead log into its data file, as far as
// running readers permit. It waits for its turn between two transactions that
// write.
func (db *DB) Flush(ctx context.Context) error {
	select {
	case <-db.closing:
		return ErrClosed
	default:
	}
	if err := db.driver.Flush(ctx); err != nil {
		return db.engineError(ctx, err, StopNone)
	}
	return nil
}

// jobTables are system.jobs and system.job_nodes.
func jobTables() []*catalog.Table {
	col := catalog.Col
	return []*catalog.Table{
		catalog.NewSystem(catalog.SystemNamespace, "jobs", []catalog.Column{
			col("job_id", wire.Text, true), col("job_type", wire.Text, true), col("status", wire.Text, true),
			col("leader_status", wire.Text, false), col("parameters", wire.JSON, false), col("message", wire.Text, false),
			col("exception_trace", wire.Text, false), col("idempotency_key", wire.Text, false), col("queue", wire.Text, false),
			col("priority", wire.Int, false), col("retry_count", wire.SmallInt, true), col("max_retries", wire.SmallInt, true),
			col("memory_used", wire.BigInt, false), col("cpu_used", wire.BigInt, false), col("created_at", wire.Timestamp, true),
			col("updated_at", wire.Timestamp, true), col("started_at", wire.Timestamp, false), col("finished_at", wire.Timestamp, false),
			col("node_id", wire.BigInt, true), col("leader_node_id", wire.BigInt, false),
		}, `SELECT id AS job_id, type AS job_type, 'completed' AS status, 'completed' AS leader_status, parameters, message,
			NULL AS exception_trace, NULL AS idempotency_key, NULL AS queue, NULL AS priority, 0 AS retry_count, 0 AS max_retries,
			NULL AS memory_used, NULL AS cpu_used, started_at AS created_at, finished_at AS updated_at, started_at, finished_at,
			1 AS node_id, 1 AS leader_node_id FROM jobs`, nil),
		catalog.NewSystem(catalog.SystemNamespace, "job_nodes", []catalog.Column{
			col("job_id", wire.Text, true), col("node_id", wire.BigInt, true), col("status", wire.Text, true),
			col("error_message", wire.Text, false), col("created_at", wire.Timestamp, true), col("started_at", wire.Timestamp, false),
			col("finished_at", wire.Timestamp, false), col("updated_at", wire.Timestamp, true),
		}, `SELECT id AS job_id, 1 AS node_id, 'completed' AS status, NULL AS error_message, started_at AS created_at, started_at,
			finished_at, finished_at AS updated_at FROM jobs`, nil),
	}
}
