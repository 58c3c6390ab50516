package store

import (
	"strconv"
	"strings"

	"github.com/kalamdb/kalam-go/internal/catalog"
	"github.com/kalamdb/kalam-go/internal/sqlgen"
	"github.com/kalamdb/kalam-go/wire"
)

// File is a file whose content is kept as long as a row refers to it.
type File struct {
	wire.FileRef
	Owner string // the user who uploaded it, for quotas
}

// Key is the name of the content where it is kept: "f0001/123".
func (f *File) Key() string { return f.Sub + "/" + f.ID }

var (
	fileCols   = types(wire.BigInt, wire.Text, wire.Text, wire.BigInt, wire.Text, wire.Text, wire.Text)
	fileInsert = &Stmt{
		SQL:  "INSERT INTO files(id, sub, name, size, mime, sha256, owner, created_at) VALUES($1,$2,$3,$4,$5,$6,$7,$8)",
		Args: types(wire.BigInt, wire.Text, wire.Text, wire.BigInt, wire.Text, wire.Text, wire.Text, wire.BigInt),
	}
	fileByID = &Stmt{
		SQL:  "SELECT id, sub, name, size, mime, sha256, owner FROM files WHERE id = $1",
		Args: types(wire.BigInt), Cols: fileCols,
	}
	fileOfTable = &Stmt{
		SQL: `SELECT id, sub, name, size, mime, sha256, owner FROM files
			WHERE id = $1 AND EXISTS(SELECT 1 FROM file_refs WHERE file = $1 AND tbl = $2 AND usr = $3 AND n > 0)`,
		Args: types(wire.BigInt, wire.BigInt, wire.Text), Cols: fileCols,
	}
	fileAll = &Stmt{SQL: "SELECT id, sub, name, size, mime, sha256, owner FROM files ORDER BY id", Cols: fileCols}
	fileSum = &Stmt{
		SQL:  "SELECT bytes FROM file_bytes WHERE owner = $1",
		Args: types(wire.Text), Cols: types(wire.BigInt),
	}
	fileCount = &Stmt{
		SQL:  "INSERT INTO file_bytes(owner, bytes) VALUES($1, $2) ON CONFLICT(owner) DO UPDATE SET bytes = file_bytes.bytes + excluded.bytes",
		Args: types(wire.Text, wire.BigInt),
	}
	fileScopes = &Stmt{
		SQL:  "SELECT tbl, usr FROM file_refs WHERE file = $1",
		Args: types(wire.BigInt), Cols: types(wire.BigInt, wire.Text),
	}
	refCount = &Stmt{
		SQL:  "INSERT INTO file_refs(file, tbl, usr, n) VALUES($1,$2,$3,$4) ON CONFLICT(file, tbl, usr) DO UPDATE SET n = file_refs.n + excluded.n",
		Args: types(wire.BigInt, wire.BigInt, wire.Text, wire.BigInt),
	}
	refsOfTable = &Stmt{SQL: "SELECT DISTINCT file FROM file_refs WHERE tbl = $1", Args: types(wire.BigInt), Cols: types(wire.BigInt)}
	refsDrop    = &Stmt{SQL: "DELETE FROM file_refs WHERE tbl = $1", Args: types(wire.BigInt)}
	refsEnded   = &Stmt{SQL: "DELETE FROM file_refs WHERE file = $1 AND n <= 0", Args: types(wire.BigInt)}
	fileRelease = &Stmt{
		SQL:  "DELETE FROM files WHERE id = $1 AND NOT EXISTS(SELECT 1 FROM file_refs WHERE file = $1)",
		Args: types(wire.BigInt),
	}
)

func fileFn(fn func(*File) error) func([]wire.Value) error {
	return func(row []wire.Value) error {
		return fn(&File{FileRef: wire.FileRef{
			ID: strconv.FormatInt(row[0].Int(), 10), Sub: row[1].Text(), Name: row[2].Text(), Size: row[3].Int(),
			MIME: row[4].Text(), SHA256: row[5].Text(),
		}, Owner: row[6].Text()})
	}
}

// fileID reads an id as it stands in a reference.
func fileID(id string) (wire.Value, bool) {
	n, err := strconv.ParseInt(id, 10, 64)
	return wire.IntValue(n), err == nil
}

// AddFile adds a file whose content is in its place. It goes again when the
// transaction ends and no row refers to it.
func (tx *Tx) AddFile(f *File) error {
	id, ok := fileID(f.ID)
	if !ok {
		return wire.NewError(wire.CodeFileNotFound, "the file ", f.ID, " has no id")
	}
	tx.touchFile(id.Int())
	_, err := tx.Exec(fileInsert, id, wire.TextValue(f.Sub), wire.TextValue(f.Name), wire.IntValue(f.Size), wire.TextValue(f.MIME),
		wire.TextValue(f.SHA256), wire.TextValue(f.Owner), wire.IntValue(tx.db.Now().UnixMicro()))
	if err == nil {
		_, err = tx.Exec(fileCount, wire.TextValue(f.Owner), wire.IntValue(f.Size))
	}
	return err
}

// File returns the file of that id, nil if there is none.
func (tx *Tx) File(id string) (*File, error) {
	n, ok := fileID(id)
	if !ok {
		return nil, nil
	}
	return tx.oneFile(fileByID, n)
}

// FileOf returns the file of that id that a row of a table refers to, a row of
// user where the table is private; nil if there is none.
func (tx *Tx) FileOf(t *catalog.Table, user, id string) (*File, error) {
	n, ok := fileID(id)
	if !ok {
		return nil, nil
	}
	return tx.oneFile(fileOfTable, n, wire.IntValue(t.ID), wire.TextValue(user))
}

func (tx *Tx) oneFile(s *Stmt, args ...wire.Value) (*File, error) {
	var found *File
	err := tx.Query(s, args, fileFn(func(f *File) error { found = f; return nil }))
	return found, err
}

// Files calls fn for every file in the order of their ids.
func (tx *Tx) Files(fn func(*File) error) error { return tx.Query(fileAll, nil, fileFn(fn)) }

// EachFile calls fn for every file in a database that nobody serves, such as a
// copy.
func EachFile(s Session, fn func(*File) error) error { return s.Query(fileAll, nil, fileFn(fn)) }

// FileScopes calls fn for each table, and user of a private one, with a row that
// refers to a file, or did when this transaction began.
func (tx *Tx) FileScopes(id string, fn func(table int64, user string)) error {
	n, ok := fileID(id)
	if !ok {
		return nil
	}
	return tx.Query(fileScopes, []wire.Value{n}, func(row []wire.Value) error {
		fn(row[0].Int(), row[1].Text())
		return nil
	})
}

// FileBytes is the size of all files that a user has uploaded and that are kept.
func (tx *Tx) FileBytes(owner string) (n int64, err error) {
	err = tx.Query(fileSum, []wire.Value{wire.TextValue(owner)}, func(row []wire.Value) error {
		n = row[0].Int()
		return nil
	})
	return n, err
}

func (tx *Tx) touchFile(id int64) {
	if tx.write.did.files == nil {
		tx.write.did.files = make(map[int64]bool)
	}
	tx.write.did.files[id] = true
}

// countFiles counts the references of a row that has changed; nil is no row.
func (tx *Tx) countFiles(s *tableStmts, user string, old, row []wire.Value) error {
	for _, c := range s.files {
		if old != nil && row != nil && old[c] == row[c] {
			continue
		}
		if old != nil {
			if err := tx.countFile(s.table, user, old[c], -1); err != nil {
				return err
			}
		}
		if row != nil {
			if err := tx.countFile(s.table, user, row[c], 1); err != nil {
				return err
			}
		}
	}
	return nil
}

func (tx *Tx) countFile(t *catalog.Table, user string, cell wire.Value, n int64) error {
	if cell.IsNull() {
		return nil
	}
	ref, err := wire.DecodeFileRef(cell.Text())
	if err != nil {
		return nil // a text that an earlier version let in
	}
	id, ok := fileID(ref.ID)
	if !ok {
		return nil
	}
	tx.touchFile(id.Int())
	_, err = tx.Exec(refCount, id, wire.IntValue(t.ID), wire.TextValue(user), wire.IntValue(n))
	return err
}

// DropFiles takes the references of column i of every user's rows, before the
// column is dropped.
func (tx *Tx) DropFiles(t *catalog.Table, i int) error {
	type cell struct {
		user string
		ref  wire.Value
	}
	user := "''"
	if t.Kind.Private() {
		user = sqlgen.UserColumn
	}
	name := t.Columns[i].Physical()
	s := &Stmt{
		SQL:  "SELECT " + user + "," + name + " FROM " + t.Physical() + " WHERE " + name + " IS NOT NULL",
		Cols: types(wire.Text, wire.File),
	}
	var cells []cell
	err := tx.Query(s, nil, func(row []wire.Value) error {
		cells = append(cells, cell{strings.Clone(row[0].Text()), row[1]})
		return nil
	})
	for _, c := range cells {
		if err == nil {
			err = tx.countFile(t, c.user, c.ref, -1)
		}
	}
	return err
}

// dropFilesOf takes all references of a table that is dropped.
func (tx *Tx) dropFilesOf(t *catalog.Table) error {
	id := wire.IntValue(t.ID)
	err := tx.Query(refsOfTable, []wire.Value{id}, func(row []wire.Value) error {
		tx.touchFile(row[0].Int())
		return nil
	})
	if err == nil {
		_, err = tx.Exec(refsDrop, id)
	}
	return err
}

// releaseFiles ends the files that no row refers to any more. It is the last
// step of a writing transaction.
func (tx *Tx) releaseFiles() error {
	for id := range tx.write.did.files {
		n := wire.IntValue(id)
		if _, err := tx.Exec(refsEnded, n); err != nil {
			return err
		}
		f, err := tx.oneFile(fileByID, n)
		if err != nil {
			return err
		}
		gone, err := tx.Exec(fileRelease, n)
		if err != nil {
			return err
		}
		if gone > 0 {
			if _, err := tx.Exec(fileCount, wire.TextValue(f.Owner), wire.IntValue(-f.Size)); err != nil {
				return err
			}
			tx.write.did.notice.Files = append(tx.write.did.notice.Files, f)
		}
	}
	return nil
}
