package ddl

import (
	"context"
	"encoding/json"
	"strconv"
	"strings"
	"time"

	"github.com/oklog/ulid/v2"

	"github.com/kalamdb/kalam-go/internal/catalog"
	"github.com/kalamdb/kalam-go/internal/dialect"
	"github.com/kalamdb/kalam-go/internal/right"
	"github.com/kalamdb/kalam-go/internal/store"
	"github.com/kalamdb/kalam-go/wire"
)

// localStorage is the id of the one storage there is: the data folder.
const localStorage = "local"

func noStorage(id string) *wire.Error {
	return wire.NewError(wire.CodeNotFound, "storage '", id, "' not found: the only storage is '", localStorage, "', the data folder of the server")
}

var (
	_ = enter(storageRight, bindStorage)
	_ = enter(commandRight, refuseCommand)
)

func storageRight(_ string, s *dialect.Storage) (right.Need, error) {
	if s.ID != nil {
		return right.Need{Right: right.Administer, What: "STORAGE CHECK"}, nil
	}
	return right.Need{Right: right.Maintain, What: "STORAGE " + s.Verb}, nil
}

func commandRight(_ string, s *dialect.CommandOnly) (right.Need, error) {
	if s.Verb != "EXPORT USER DATA" {
		return right.Need{Right: right.Administer, What: s.Verb}, nil
	}
	return right.Need{}, nil
}

// bindStorage binds STORAGE FLUSH, COMPACT and CHECK.
func bindStorage(r *Request, s *dialect.Storage) (*Statement, error) {
	if s.ID != nil {
		return r.checkStorage(s)
	}
	tables, err := r.flushed(r.DB.Catalog(), s)
	if err != nil {
		return nil, err
	}
	if len(tables) == 0 {
		return r.flushNothing(s)
	}
	var started time.Time
	return &Statement{
		Before: func(ctx context.Context) error {
			started = r.DB.Now()
			return r.DB.Flush(ctx)
		},
		run: func(tx *store.Tx) (wire.Result, error) { return r.flush(tx, s, started) },
	}, nil
}

// flush records the jobs of STORAGE FLUSH or COMPACT.
func (r *Request) flush(tx *store.Tx, s *dialect.Storage, started time.Time) (wire.Result, error) {
	tables, err := r.flushed(tx.Catalog(), s)
	if err != nil {
		return wire.Result{}, err
	}
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

// flushed returns the tables that STORAGE FLUSH or COMPACT is about. The log is
// one for all of them, so they differ only in what is said.
func (r *Request) flushed(snapshot *catalog.Snapshot, s *dialect.Storage) ([]*catalog.Table, error) {
	if s.Table != nil {
		t, err := r.readable(snapshot, s.Table)
		switch {
		case err != nil:
			return nil, err
		case t.Kind == catalog.Stream:
			return nil, r.fail(s.Table[0].Pos, wire.CodeUnsupported, "STORAGE ", s.Verb,
				" does not support STREAM tables: cannot flush ", t.FullName(), ", whose rows end by themselves")
		case t.Kind == catalog.System:
			return nil, r.fail(s.Table[0].Pos, wire.CodeUnsupported, "STORAGE ", s.Verb,
				" does not support tables of the server's own, such as ", t.FullName())
		}
		return []*catalog.Table{t}, nil
	}
	namespace := r.Namespace
	if s.Namespace != nil {
		namespace = s.Namespace.Name
		if snapshot.Namespace(namespace) == nil {
			return nil, r.at(s.Namespace.Pos, NoNamespace(namespace))
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
func (r *Request) flushNothing(s *dialect.Storage) (*Statement, error) {
	namespace := r.Namespace
	if s.Namespace != nil {
		namespace = s.Namespace.Name
	}
	if s.Verb == "COMPACT" {
		return nil, r.fail(s.Pos(), wire.CodeNotFound, "No compactable tables in namespace '", namespace, "'")
	}
	return reading(func(*store.Tx) (wire.Result, error) {
		return r.done("Storage flush skipped: namespace '" + namespace + "' has no tables to flush"), nil
	}), nil
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
	return what + " for " + strconv.Itoa(len(tables)) + " table(s) in namespace '" + tables[0].Namespace + "'. Job IDs: [" + strings.Join(ids, ", ") + "]"
}

// checkStorage binds STORAGE CHECK.
func (r *Request) checkStorage(s *dialect.Storage) (*Statement, error) {
	if s.ID.Name != localStorage {
		return nil, r.at(s.ID.Pos, noStorage(s.ID.Name))
	}
	return own(`SELECT storage_id, status, readable, writable, listable, deletable, latency_ms,
		CASE WHEN $1 THEN total_bytes END AS total_bytes, CASE WHEN $1 THEN used_bytes END AS used_bytes,
		error, tested_at FROM system.storage_health`, wire.BoolValue(s.Extended))
}

// showStorages binds SHOW STORAGES, which everybody may run. Only administrators
// see where the data folder is.
func (r *Request) showStorages() (*Statement, error) {
	return own(`SELECT storage_id, storage_name, description, storage_type,
		CASE WHEN $1 THEN base_directory ELSE '***' END AS base_directory, credentials, config_json,
		shared_tables_template, user_tables_template, created_at, updated_at FROM system.storages ORDER BY storage_id`,
		wire.BoolValue(r.Who.IsAdmin()))
}

// refuseCommand refuses a statement and names the command that does its work.
func refuseCommand(r *Request, s *dialect.CommandOnly) (*Statement, error) {
	instead := "the only storage is '" + localStorage + "', the folder that kalam serve --data names"
	switch strings.Fields(s.Verb)[0] {
	case "BACKUP":
		instead = "on the server's machine, kalam backup FILE copies the data of a running server"
	case "RESTORE":
		instead = "unpack the archive of kalam backup into a new folder and start kalam serve --data FOLDER"
	case "EXPORT":
		instead = "SELECT the rows of each table, for example with kalam sql --json"
	}
	return nil, r.fail(s.Pos(), wire.CodeUnsupported, s.Verb, " is not supported in SQL: ", instead)
}
