package engine

import (
	"context"
	"encoding/json"
	"strings"
	"time"

	"github.com/oklog/ulid/v2"

	"github.com/kalamdb/kalam-go/internal/catalog"
	"github.com/kalamdb/kalam-go/internal/dialect"
	"github.com/kalamdb/kalam-go/internal/store"
	"github.com/kalamdb/kalam-go/wire"
)

// localStorage is the id of the one storage there is: the data folder.
const localStorage = "local"

func noStorage(id string) *wire.Error {
	return wire.NewError(wire.CodeNotFound, "storage '", id, "' not found: the only storage is '", localStorage, "', the data folder of the server")
}

// storage plans STORAGE FLUSH, COMPACT and CHECK.
func (r *run) storage(p *plan, s *dialect.Storage) error {
	if s.ID != nil {
		return r.checkStorage(p, s)
	}
	tables, err := r.flushed(p, s)
	if err != nil {
		return err
	}
	if len(tables) == 0 {
		return r.flushNothing(p, s)
	}
	p.before = func(ctx context.Context, r *run) error {
		p.state = r.e.db.Now()
		return r.e.db.Flush(ctx)
	}
	p.other = func(r *run, tx *store.Tx, p *plan) (wire.Result, error) {
		started, _ := p.state.(time.Time)
		ids := make([]string, len(tables))
		for i, t := range tables {
			j, err := flushJob(s.Verb, t, started)
			if err != nil {
				return wire.Result{}, err
			}
			if err := tx.AddJob(j); err != nil {
				return wire.Result{}, err
			}
			ids[i] = j.ID
		}
		return r.done(flushMessage(s, tables, ids)), nil
	}
	return nil
}

// flushed returns the tables that STORAGE FLUSH or COMPACT is about. The log is
// one for all of them, so they differ only in what is said.
func (r *run) flushed(p *plan, s *dialect.Storage) ([]*catalog.Table, error) {
	snapshot := r.e.db.Catalog()
	if s.Table != nil {
		t := lookup(snapshot, r.namespace, s.Table)
		switch {
		case t == nil:
			return nil, at(p.source, s.Table[0].Pos, noTable(s.Table))
		case mayUse(r.who.Role, t, false) != nil:
			return nil, at(p.source, s.Table[0].Pos, mayUse(r.who.Role, t, false))
		case t.Kind == catalog.Stream:
			return nil, at(p.source, s.Table[0].Pos, wire.NewError(wire.CodeUnsupported, "STORAGE ", s.Verb,
				" does not support STREAM tables: cannot flush ", t.FullName(), ", whose rows end by themselves"))
		case t.Kind == catalog.System:
			return nil, at(p.source, s.Table[0].Pos, wire.NewError(wire.CodeUnsupported, "STORAGE ", s.Verb,
				" does not support tables of the server's own, such as ", t.FullName()))
		}
		return []*catalog.Table{t}, nil
	}
	namespace := r.namespace
	if s.Namespace != nil {
		namespace = s.Namespace.Name
		if snapshot.Namespace(namespace) == nil {
			return nil, at(p.source, s.Namespace.Pos, noNamespace(namespace))
		}
	}
	var tables []*catalog.Table
	for _, t := range snapshot.All() {
		if t.Namespace == namespace && (t.Kind == catalog.User || t.Kind == catalog.Shared) {
			tables = append(tables, t)
		}
	}
	return tables, nil
}

// flushNothing answers for a namespace without tables, as KalamDB 0.4 does.
func (r *run) flushNothing(p *plan, s *dialect.Storage) error {
	namespace := r.namespace
	if s.Namespace != nil {
		namespace = s.Namespace.Name
	}
	if s.Verb == "COMPACT" {
		return at(p.source, s.Pos(), wire.NewError(wire.CodeNotFound, "No compactable tables in namespace '", namespace, "'"))
	}
	p.reads = true
	p.other = func(r *run, _ *store.Tx, _ *plan) (wire.Result, error) {
		return r.done("Storage flush skipped: namespace '" + namespace + "' has no tables to flush"), nil
	}
	return nil
}

func flushJob(verb string, t *catalog.Table, started time.Time) (store.Job, error) {
	j := store.Job{ID: "FL-" + ulid.Make().String(), Type: "flush", Started: started.UnixMicro(),
		Message: "Flush completed: the write-ahead log is in the data file"}
	if verb == "COMPACT" {
		j.ID, j.Type = "CO"+j.ID[2:], "compact"
		j.Message = "Compaction completed: the write-ahead log is in the data file"
	}
	b, err := json.Marshal(map[string]string{"namespace_id": t.Namespace, "table_name": t.Name, "table_type": t.Kind.String()})
	j.Parameters = string(b)
	return j, err
}

// flushMessage has the wording that scripts of KalamDB 0.4 look for.
func flushMessage(s *dialect.Storage, tables []*catalog.Table, ids []string) string {
	what := "Storage flush started"
	if s.Verb == "COMPACT" {
		what = "Storage compaction started"
	}
	if s.Table != nil {
		return what + " for table '" + tables[0].FullName() + "'. Job ID: " + ids[0]
	}
	return what + " for " + itoa(len(tables)) + " table(s) in namespace '" + tables[0].Namespace + "'. Job IDs: [" + strings.Join(ids, ", ") + "]"
}

// checkStorage plans STORAGE CHECK.
func (r *run) checkStorage(p *plan, s *dialect.Storage) error {
	if s.ID.Name != localStorage {
		return at(p.source, s.ID.Pos, noStorage(s.ID.Name))
	}
	return r.own(p, `SELECT storage_id, status, readable, writable, listable, deletable, latency_ms,
		CASE WHEN $1 THEN total_bytes END AS total_bytes, CASE WHEN $1 THEN used_bytes END AS used_bytes,
		error, tested_at FROM system.storage_health`, wire.BoolValue(s.Extended))
}

// showStorages plans SHOW STORAGES, which everybody may run. Only administrators
// see where the data folder is.
func (r *run) showStorages(p *plan) error {
	return r.own(p, `SELECT storage_id, storage_name, description, storage_type,
		CASE WHEN $1 THEN base_directory ELSE '***' END AS base_directory, credentials, config_json,
		shared_tables_template, user_tables_template, created_at, updated_at FROM system.storages ORDER BY storage_id`,
		wire.BoolValue(r.who.IsAdmin()))
}

// commandOnly refuses a statement and names the command that does its work.
func commandOnly(p *plan, s *dialect.CommandOnly) error {
	instead := "the only storage is '" + localStorage + "', the folder that kalam serve --data names"
	switch strings.Fields(s.Verb)[0] {
	case "BACKUP":
		instead = "on the server's machine, kalam backup FILE copies the data of a running server"
	case "RESTORE":
		instead = "unpack the archive of kalam backup into a new folder and start kalam serve --data FOLDER"
	case "EXPORT":
		instead = "SELECT the rows of each table, for example with kalam sql --json"
	}
	return at(p.source, s.Pos(), wire.NewError(wire.CodeUnsupported, s.Verb, " is not supported in SQL: ", instead))
}
