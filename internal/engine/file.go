package engine

import (
	"context"

	"github.com/kalamdb/kalam-go/internal/bind"
	"github.com/kalamdb/kalam-go/internal/catalog"
	"github.com/kalamdb/kalam-go/internal/expr"
	"github.com/kalamdb/kalam-go/internal/fault"
	"github.com/kalamdb/kalam-go/internal/identity"
	"github.com/kalamdb/kalam-go/internal/right"
	"github.com/kalamdb/kalam-go/internal/store"
	"github.com/kalamdb/kalam-go/wire"
)

// Uploads are the files that come with a statement.
type Uploads struct {
	Files map[string]*store.File // by the names that FILE("name") calls them; their content is in its place
	Quota int64                  // bytes that the files of their owner may have together; 0: no limit
}

// RunWithFiles is Run for exactly one statement whose placeholders FILE("name")
// stand for uploaded files. A file that no row refers to afterwards, because the
// statement failed or did not use it, is the caller's to remove.
func (e *Engine) RunWithFiles(ctx context.Context, who *identity.Principal, req *wire.Request, files *Uploads, hold *Hold) ([]wire.Result, error) {
	return e.run(ctx, who, req, files, hold)
}

// checkFiles compares the placeholders of a plan with the files that came.
func (r *run) checkFiles(p *plan) error {
	if len(p.files) == 0 && r.files == nil {
		return nil
	}
	if len(p.files) > 0 && p.table.Kind == catalog.Stream {
		return fault.At(p.source, p.files[0].Pos, wire.NewError(wire.CodeInvalidInput, "STREAM tables hold no files"))
	}
	asked := make(map[string]bool)
	for _, f := range p.files {
		asked[f.Name] = true
		if r.files == nil {
			return fault.At(p.source, f.Pos, wire.NewError(wire.CodeInvalidInput, `FILE("`, f.Name,
				`") needs the file: send one statement as multipart/form-data with a part named "file:`, f.Name, `"`))
		}
		if r.files.Files[f.Name] == nil {
			return fault.At(p.source, f.Pos, wire.NewError(wire.CodeMissingFile, `FILE("`, f.Name, `") has no file: the request has no part named "file:`, f.Name, `"`))
		}
	}
	if r.files == nil {
		return nil
	}
	for name := range r.files.Files {
		if !asked[name] {
			return wire.NewError(wire.CodeExtraFile, `the part "file:`, name, `" has no place: the statement has no FILE("`, name, `")`)
		}
	}
	return nil
}

// addFiles makes the uploaded files known in the transaction of the statement.
func (r *run) addFiles(tx *store.Tx, p *plan, env *expr.Env) error {
	if len(p.files) == 0 {
		return nil
	}
	env.Files = make(map[string]wire.Value, len(p.files))
	for _, asked := range p.files {
		f := r.files.Files[asked.Name]
		if _, ok := env.Files[asked.Name]; ok {
			continue
		}
		if err := tx.AddFile(f); err != nil {
			return err
		}
		env.Files[asked.Name] = fileCell(f)
		if r.files.Quota == 0 {
			continue
		}
		if used, err := tx.FileBytes(f.Owner); err != nil {
			return err
		} else if used > r.files.Quota {
			return QuotaError(r.files.Quota)
		}
	}
	return nil
}

// QuotaError is the answer to a user whose files are too large together.
func QuotaError(quota int64) error {
	return wire.NewError(wire.CodeFileQuota, "your files would be larger than the server keeps for a user, which are ", itoa(int(quota)), " bytes (files.max_bytes_per_user); delete some first")
}

func fileCell(f *store.File) wire.Value {
	return wire.TextValue(string(wire.AppendFileRef(nil, &f.FileRef)))
}

// takeFiles puts what the server knows of a file into each FILE cell of a row
// that is new or changed; old is nil for a new row. A cell may name an uploaded
// file of this statement, or one that the writer may read now: so a reference
// can be copied, but not made up.
func (r *run) takeFiles(tx *store.Tx, t *catalog.Table, env *expr.Env, old, row []wire.Value) error {
	for _, c := range t.FileColumns() {
		cell := row[c]
		if cell.IsNull() || old != nil && cell == old[c] {
			continue
		}
		known := false
		for _, uploaded := range env.Files {
			known = known || uploaded == cell
		}
		if known {
			continue
		}
		ref, err := wire.DecodeFileRef(cell.Text())
		if err != nil {
			return wire.NewError(wire.CodeInvalidText, "column ", t.Columns[c].Name, ` is of type FILE: it takes NULL, FILE("name") with an uploaded file, or the value of another FILE column`)
		}
		f, err := r.readableFile(tx, env, ref.ID)
		if err != nil {
			return err
		}
		if f == nil {
			return wire.NewError(wire.CodeFileNotFound, "column ", t.Columns[c].Name, ": the file ", ref.ID, " is not there, or you may not use it")
		}
		row[c] = fileCell(f)
	}
	return nil
}

// readableFile is a file that a row refers to which the user of a statement may
// read now; nil if there is none.
func (r *run) readableFile(tx *store.Tx, env *expr.Env, id string) (*store.File, error) {
	var readable []*catalog.Table
	err := tx.FileScopes(id, func(table int64, user string) {
		t := tx.Catalog().TableByID(table)
		if t != nil && (!t.Kind.Private() || user == env.User) && right.Use(env.Role, t, false) == nil && right.InScope(r.who.Scope, t, false) == nil {
			readable = append(readable, t)
		}
	})
	if err != nil {
		return nil, err
	}
	for _, t := range readable {
		switch shown, err := r.shows(tx, t, env, id); {
		case err != nil:
			return nil, err
		case shown:
			return tx.File(id)
		}
	}
	return nil, nil
}

// shows reports whether a row of a table that refers to a file is one that the
// policies show to the user of env; where none govern the table, it is.
func (r *run) shows(tx *store.Tx, t *catalog.Table, env *expr.Env, id string) (shown bool, err error) {
	if !t.Governed() || !catalog.Obeys(env.Role) {
		return true, nil
	}
	b := &bind.Binder{Catalog: tx.Catalog(), Params: new(expr.Params), Budget: env.Budget, Role: env.Role}
	printed, err := b.HoldsFile(t, r.e.db.Target())
	if err != nil {
		return false, err
	}
	own := *env
	own.Params = bind.FileRange(id)
	err = Prepare(printed).Run(tx, &own, func([]wire.Value) error {
		shown = true
		return nil
	})
	return shown, err
}

// FileName is what a download asks for.
type FileName struct {
	Namespace, Table string
	Sub              string // the folder
	File             string // the id, or the stored name
	User             string // whose rows of a private table; "" for the caller's
}

// File returns a file that a row refers to which who may read now. Whatever is
// not there, or belongs to nobody whom who may act for, is FILE_NOT_FOUND.
func (e *Engine) File(ctx context.Context, who *identity.Principal, name FileName) (*store.File, error) {
	notFound := wire.NewError(wire.CodeFileNotFound, "File not found")
	role, user := who.Role, ""
	if err := right.Check(role, right.Anyone, ""); err != nil {
		return nil, err
	}
	t := e.db.Catalog().Table(name.Namespace, name.Table)
	switch {
	case t == nil:
		return nil, notFound
	case t.Kind == catalog.System || t.Kind == catalog.Stream:
		return nil, wire.NewError(wire.CodeInvalidInput, t.Kind.String(), " tables hold no files")
	case t.Kind == catalog.Shared && name.User != "":
		return nil, wire.NewError(wire.CodeInvalidInput, "user_id is for USER tables: the rows of a SHARED table belong to nobody")
	case t.Kind.Private():
		user = who.UserID
		if name.User != "" && name.User != user {
			r := &run{e: e, who: who}
			if err := r.mayActAs(ctx, name.User); err != nil {
				return nil, err
			}
			if err := e.users.ImpersonatedToRead(ctx, who, name.User, "GET file of "+t.FullName()); err != nil {
				return nil, e.Visible(ctx, err)
			}
			user, role = name.User, identity.RoleUser
		}
	}
	if err := right.Use(role, t, false); err != nil {
		return nil, err
	}
	if err := right.InScope(who.Scope, t, false); err != nil {
		return nil, err
	}
	id := name.File
	for i := range len(id) {
		if id[i] < '0' || id[i] > '9' {
			id = id[:i]
			break
		}
	}
	var f *store.File
	r := &run{e: e, who: who, now: e.db.Now()}
	err := e.db.For(who.UserID).Read(ctx, func(tx *store.Tx) (err error) {
		if f, err = tx.FileOf(t, user, id); f == nil || err != nil {
			return err
		}
		env, err := r.envOf(who.UserID, role, nil, nil)
		if err != nil {
			return err
		}
		env.Budget = tx.Budget()
		shown, err := r.shows(tx, t, env, f.ID)
		if !shown {
			f = nil
		}
		return err
	})
	if err != nil {
		return nil, e.Visible(ctx, err)
	}
	if f == nil || f.Sub != name.Sub || name.File != f.ID && name.File != f.StoredName() {
		return nil, notFound
	}
	return f, nil
}
