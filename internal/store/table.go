package store

import (
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/kalamdb/kalam-go/internal/catalog"
	"github.com/kalamdb/kalam-go/internal/sqlgen"
	"github.com/kalamdb/kalam-go/wire"
)

// tableStmts are the statements that change the rows of one table.
type tableStmts struct {
	table                  *catalog.Table
	insert, update, delete *Stmt
	files                  []int // the columns of type FILE
}

func (db *DB) tableStmts(t *catalog.Table) *tableStmts {
	if s, ok := db.stmts.Load(t); ok {
		return s.(*tableStmts)
	}
	s := newTableStmts(db.Target(), t)
	db.stmts.Store(t, s)
	return s
}

func newTableStmts(target sqlgen.Target, t *catalog.Table) *tableStmts {
	var cols []string
	var args []wire.Type
	if t.Kind.Private() {
		cols = append(cols, sqlgen.UserColumn)
		args = append(args, wire.Type{Kind: wire.Text})
	}
	for i := range t.Columns {
		cols = append(cols, t.Columns[i].Physical())
		args = append(args, t.Columns[i].Type)
	}
	cols = append(cols, catalog.SeqColumn)
	args = append(args, wire.Type{Kind: wire.BigInt})

	marks := make([]string, len(cols))
	sets := make([]string, len(cols))
	for i, c := range cols {
		marks[i] = target.Placeholder(i+1, args[i])
		sets[i] = c + "=" + marks[i]
	}
	keyArgs := keyTypes(t)
	s := &tableStmts{table: t, files: t.FileColumns()}
	s.insert = &Stmt{
		SQL:  "INSERT INTO " + t.Physical() + "(" + strings.Join(cols, ",") + ") VALUES(" + strings.Join(marks, ",") + ")",
		Args: args,
	}
	s.update = &Stmt{
		SQL:  "UPDATE " + t.Physical() + " SET " + strings.Join(sets, ",") + " WHERE " + keyWhere(t, len(args)),
		Args: append(append([]wire.Type{}, args...), keyArgs...),
	}
	s.delete = &Stmt{SQL: "DELETE FROM " + t.Physical() + " WHERE " + keyWhere(t, 0), Args: keyArgs}
	return s
}

// findStmt reads a row by the values of some columns.
func findStmt(target sqlgen.Target, t *catalog.Table, cols []int) *Stmt {
	s := &Stmt{}
	names := make([]string, 0, len(t.Columns)+1)
	for i := range t.Columns {
		names = append(names, t.Columns[i].Physical())
		s.Cols = append(s.Cols, t.Columns[i].Type)
	}
	names = append(names, catalog.SeqColumn)
	s.Cols = append(s.Cols, wire.Type{Kind: wire.BigInt})
	var where []string
	equal := func(column string, typ wire.Type) {
		s.Args = append(s.Args, typ)
		value := target.Placeholder(len(s.Args), typ)
		where = append(where, target.IndexKey(column, typ)+"="+target.IndexKey(value, typ))
	}
	if t.Kind.Private() {
		equal(sqlgen.UserColumn, wire.Type{Kind: wire.Text})
	}
	for _, c := range cols {
		equal(t.Columns[c].Physical(), t.Columns[c].Type)
	}
	s.SQL = "SELECT " + strings.Join(names, ",") + " FROM " + t.Physical() + " WHERE " + strings.Join(where, " AND ")
	return s
}

func keyTypes(t *catalog.Table) []wire.Type {
	var out []wire.Type
	if t.Kind.Private() {
		out = append(out, wire.Type{Kind: wire.Text})
	}
	for _, k := range t.Key {
		out = append(out, t.Columns[k].Type)
	}
	if len(t.Key) == 0 {
		out = append(out, wire.Type{Kind: wire.BigInt})
	}
	return out
}

func keyWhere(t *catalog.Table, after int) string {
	conds := sqlgen.KeyColumns(t)
	for i, c := range conds {
		conds[i] = c + "=$" + strconv.Itoa(after+i+1)
	}
	return strings.Join(conds, " AND ")
}

func (s *tableStmts) rowArgs(args []wire.Value, user string, row []wire.Value, seq Seq) []wire.Value {
	if s.table.Kind.Private() {
		args = append(args, wire.TextValue(user))
	}
	args = append(args, row...)
	return append(args, wire.IntValue(seq))
}

func (s *tableStmts) keyArgs(args []wire.Value, user string, row []wire.Value, seq Seq) []wire.Value {
	if s.table.Kind.Private() {
		args = append(args, wire.TextValue(user))
	}
	for _, k := range s.table.Key {
		args = append(args, row[k])
	}
	if len(s.table.Key) == 0 {
		args = append(args, wire.IntValue(seq))
	}
	return args
}

var (
	namespaceInsert = &Stmt{SQL: "INSERT INTO namespaces(name, created_at) VALUES($1, $2)", Args: types(wire.Text, wire.BigInt)}
	namespaceDelete = &Stmt{SQL: "DELETE FROM namespaces WHERE name = $1", Args: types(wire.Text)}
	namespaceAll    = &Stmt{SQL: "SELECT name, created_at FROM namespaces", Cols: types(wire.Text, wire.BigInt)}
	tableLastID     = &Stmt{SQL: "SELECT value FROM meta WHERE key = 'table_id'", Cols: types(wire.Bytes)}
	tableSetLastID  = &Stmt{SQL: "UPDATE meta SET value = $1 WHERE key = 'table_id'", Args: types(wire.Bytes)}
	tableInsert     = &Stmt{SQL: "INSERT INTO tables(id, namespace, name, definition) VALUES($1, $2, $3, $4)", Args: types(wire.BigInt, wire.Text, wire.Text, wire.Text)}
	tableDelete     = &Stmt{SQL: "DELETE FROM tables WHERE id = $1", Args: types(wire.BigInt)}
	versionInsert   = &Stmt{SQL: "INSERT INTO table_versions(table_id, version, definition) VALUES($1, $2, $3)", Args: types(wire.BigInt, wire.BigInt, wire.Text)}
	versionTrim     = &Stmt{SQL: "DELETE FROM table_versions WHERE table_id = $1 AND version <= $2", Args: types(wire.BigInt, wire.BigInt)}
	versionDelete   = &Stmt{SQL: "DELETE FROM table_versions WHERE table_id = $1", Args: types(wire.BigInt)}
	versionAll      = &Stmt{SQL: "SELECT definition FROM table_versions WHERE table_id = $1 ORDER BY version", Args: types(wire.BigInt), Cols: types(wire.Text)}
	counterDelete   = &Stmt{SQL: "DELETE FROM counters WHERE tbl = $1", Args: types(wire.BigInt)}
	counterNext     = &Stmt{SQL: "INSERT INTO counters(tbl, id, usr, value) VALUES($1, $2, $3, 1) ON CONFLICT(tbl, id, usr) DO UPDATE SET value = counters.value + 1 RETURNING value",
		Args: types(wire.BigInt, wire.BigInt, wire.Text), Cols: types(wire.BigInt)}
	counterRaise = &Stmt{SQL: "INSERT INTO counters(tbl, id, usr, value) VALUES($1, $2, $3, $4) ON CONFLICT(tbl, id, usr) DO UPDATE SET value = excluded.value WHERE counters.value < excluded.value",
		Args: types(wire.BigInt, wire.BigInt, wire.Text, wire.BigInt)}
	tableAll = &Stmt{SQL: "SELECT definition FROM tables", Cols: types(wire.Text)}
)

// CreateNamespace adds a namespace, which must not exist.
func (tx *Tx) CreateNamespace(name string) error {
	n := &catalog.Namespace{Name: name, CreatedAt: tx.db.Now().UnixMicro()}
	tx.defined(catalog.Definition{Namespace: n})
	_, err := tx.Exec(namespaceInsert, wire.TextValue(name), wire.IntValue(n.CreatedAt))
	return err
}

// DropNamespace removes a namespace and all its tables.
func (tx *Tx) DropNamespace(name string) error {
	tx.defined(catalog.Definition{Namespace: &catalog.Namespace{Name: name}, Drop: true})
	for _, t := range tx.Catalog().Tables(name) {
		if err := tx.DropTable(t); err != nil {
			return err
		}
	}
	_, err := tx.Exec(namespaceDelete, wire.TextValue(name))
	return err
}

// CreateTable adds a table, which must not exist. It sets ID, Version and the
// times of t.
func (tx *Tx) CreateTable(t *catalog.Table) error {
	if err := tx.nextTableID(t); err != nil {
		return err
	}
	tx.db.stmts.Delete(t) // of an earlier try, which failed, under another id
	t.Version = 1
	t.CreatedAt = tx.db.Now().UnixMicro()
	t.UpdatedAt = t.CreatedAt
	if err := tx.define(tableInsert, t); err != nil {
		return err
	}
	for _, sql := range tx.db.Target().CreateTable(t) {
		if err := tx.script(sql); err != nil {
			return fmt.Errorf("create table: %w", err)
		}
	}
	return nil
}

// nextTableID gives t an id that no table has had. The last one that was given
// stands in meta, in digits.
func (tx *Tx) nextTableID(t *catalog.Table) error {
	err := tx.Query(tableLastID, nil, func(row []wire.Value) (err error) {
		t.ID, err = strconv.ParseInt(row[0].Raw(), 10, 64)
		return err
	})
	if err != nil {
		return fmt.Errorf("the last id of a table: %w", err)
	}
	t.ID++
	_, err = tx.Exec(tableSetLastID, wire.BytesValue(strconv.AppendInt(nil, t.ID, 10)))
	return err
}

// define stores a definition as the newest version of its table.
func (tx *Tx) define(s *Stmt, t *catalog.Table) error {
	definition, err := json.Marshal(t)
	if err != nil {
		return fmt.Errorf("definition of a table: %w", err)
	}
	id, text := wire.IntValue(t.ID), wire.TextValue(string(definition))
	if _, err := tx.Exec(s, id, wire.TextValue(t.Namespace), wire.TextValue(t.Name), text); err != nil {
		return err
	}
	if _, err := tx.Exec(versionInsert, id, wire.IntValue(int64(t.Version)), text); err != nil {
		return err
	}
	if _, err := tx.Exec(versionTrim, id, wire.IntValue(int64(t.Version-keptVersions))); err != nil {
		return err
	}
	// The catalog gets the definition as it is read at a start.
	stored, err := decodeTable(string(definition))
	if err == nil {
		tx.defined(catalog.Definition{Table: stored})
	}
	return err
}

// keptVersions is how many definitions of a table are kept to be shown.
const keptVersions = 100

// defined adds a step to the next catalog.
func (tx *Tx) defined(d catalog.Definition) { tx.write.did.defined = append(tx.write.did.defined, d) }

// DropTable removes a table and its rows. Its changes stay in the log until
// they are trimmed.
func (tx *Tx) DropTable(t *catalog.Table) error {
	tx.defined(catalog.Definition{Table: t, Drop: true})
	for _, s := range []*Stmt{tableDelete, versionDelete, counterDelete} {
		if _, err := tx.Exec(s, wire.IntValue(t.ID)); err != nil {
			return err
		}
	}
	if len(t.FileColumns()) > 0 {
		if err := tx.dropFilesOf(t); err != nil {
			return err
		}
	}
	return tx.script("DROP TABLE " + t.Physical())
}

// NextSerial is the next number, from 1, of a counter of t, of the user where t
// is private. Who fails gives it back.
func (tx *Tx) NextSerial(t *catalog.Table, user string, id int) (n int64, err error) {
	err = tx.Query(counterNext, []wire.Value{wire.IntValue(t.ID), wire.IntValue(int64(id)), wire.TextValue(user)}, func(row []wire.Value) error {
		n = row[0].Int()
		return nil
	})
	return n, err
}

// RaiseSerial makes a counter go on above n, if it is not there yet.
func (tx *Tx) RaiseSerial(t *catalog.Table, user string, id int, n int64) error {
	if n < 1 {
		return nil
	}
	_, err := tx.Exec(counterRaise, wire.IntValue(t.ID), wire.IntValue(int64(id)), wire.TextValue(user), wire.IntValue(n))
	return err
}

// readCatalog reads what exists, at the start.
func (db *DB) readCatalog(tx *Tx) (*catalog.Snapshot, error) {
	namespaces := []*catalog.Namespace{{Name: catalog.SystemNamespace}, {Name: catalog.InformationNamespace}}
	err := tx.Query(namespaceAll, nil, func(row []wire.Value) error {
		namespaces = append(namespaces, &catalog.Namespace{Name: row[0].Text(), CreatedAt: row[1].Int()})
		return nil
	})
	if err != nil {
		return nil, err
	}
	tables := db.ownTables()
	err = tx.Query(tableAll, nil, func(row []wire.Value) error {
		t, err := decodeTable(row[0].Text())
		tables = append(tables, t)
		return err
	})
	if err != nil {
		return nil, err
	}
	topics, err := readTopics(tx)
	if err != nil {
		return nil, err
	}
	return catalog.NewSnapshot(1, namespaces, tables, topics...), nil
}

func decodeTable(definition string) (*catalog.Table, error) {
	t := new(catalog.Table)
	if err := json.Unmarshal([]byte(definition), t); err != nil {
		return nil, fmt.Errorf("definition of a table: %w", err)
	}
	return t, markedUnique(t, definition)
}

// useCatalog makes next the current catalog.
func (db *DB) useCatalog(next *catalog.Snapshot) {
	db.catalog.Store(next)
	db.stmts.Range(func(k, _ any) bool {
		if t := k.(*catalog.Table); next.TableByID(t.ID) != t {
			db.stmts.Delete(k)
		}
		return true
	})
}

// OthersHaveRows reports whether another user than this one has a row in a
// private table.
func (tx *Tx) OthersHaveRows(t *catalog.Table, user string) (bool, error) {
	found := false
	s := &Stmt{
		SQL:  "SELECT 1 FROM " + t.Physical() + " WHERE " + sqlgen.UserColumn + " <> $1 LIMIT 1",
		Args: types(wire.Text), Cols: types(wire.Int),
	}
	err := tx.Query(s, []wire.Value{wire.TextValue(user)}, func([]wire.Value) error {
		found = true
		return nil
	})
	return found, err
}

// Conflict reports whether err is a violated key or unique index of t, and the
// columns of a unique index; "" means the primary key.
func (db *DB) Conflict(t *catalog.Table, err error) (columns string, ok bool) {
	switch db.driver.Reason(err) {
	case ReasonKey:
		return "", true
	case ReasonUnique:
		index, physical := db.driver.Violated(err)
		var names []string
		for k := range t.Indexes {
			if ix := &t.Indexes[k]; index == ix.Physical(t) {
				for _, id := range ix.Columns {
					names = append(names, t.Columns[t.ByID(id)].Name)
				}
			}
		}
		for i := range t.Columns {
			if slices.Contains(physical, t.Columns[i].Physical()) {
				names = append(names, t.Columns[i].Name)
			}
		}
		return strings.Join(names, ", "), true
	}
	return "", false
}
