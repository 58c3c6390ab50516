package ddl

import (
	"slices"
	"strconv"

	"github.com/kalamdb/kalam-go/internal/catalog"
	"github.com/kalamdb/kalam-go/internal/dialect"
	"github.com/kalamdb/kalam-go/internal/store"
	"github.com/kalamdb/kalam-go/wire"
)

var (
	_ = redefines(func(r *Request, c *catalog.Snapshot, s *dialect.CreateIndex) (*catalog.Table, dialect.Pos) {
		return r.lookup(c, s.Table), s.Table[0].Pos
	}, (*Request).createIndex)
	_ = redefines(func(r *Request, c *catalog.Snapshot, s *dialect.DropIndex) (*catalog.Table, dialect.Pos) {
		return indexTable(c, r.indexNamespace(s), s.Name[len(s.Name)-1].Name), s.Pos()
	}, (*Request).dropIndex)
)

// createIndex runs CREATE INDEX.
func (r *Request) createIndex(tx *store.Tx, s *dialect.CreateIndex) (wire.Result, error) {
	t, err := r.indexed(tx, s.Table)
	if err != nil {
		return wire.Result{}, err
	}
	if err := r.auditDefine(tx, t); err != nil {
		return wire.Result{}, err
	}
	if t.Kind == catalog.Stream {
		return wire.Result{}, r.fail(s.Pos(), wire.CodeUnsupported, "indexes on STREAM tables are not supported")
	}
	n := t.Clone()
	ix := catalog.Index{Name: s.Name.Name, Unique: s.Unique}
	name := t.Name
	for _, id := range s.Columns {
		i := t.Column(id.Name)
		if i < 0 {
			return wire.Result{}, r.fail(id.Pos, wire.CodeColumnNotFound, "No field named ", id.Name, " in ", t.FullName())
		}
		ix.Columns = append(ix.Columns, t.Columns[i].ID)
		name += "_" + id.Name
	}
	if ix.Name == "" {
		ix.Name = name + "_idx"
		for k := 1; indexTable(tx.Catalog(), t.Namespace, ix.Name) != nil; k++ {
			ix.Name = name + "_idx" + strconv.Itoa(k)
		}
	} else if err := r.checkName(s.Name); err != nil {
		return wire.Result{}, err
	}
	if indexTable(tx.Catalog(), t.Namespace, ix.Name) != nil {
		if s.IfNotExists {
			return r.done("Index " + ix.Name + " already exists"), nil
		}
		return wire.Result{}, r.fail(s.Name.Pos, wire.CodeAlreadyExists, "Index ", ix.Name, " already exists")
	}
	n.Indexes = append(n.Indexes, ix)
	if err := r.checkQuota(tx, n); err != nil {
		return wire.Result{}, err
	}
	if err := r.conflictIn(n, tx.CreateIndex(n, &ix)); err != nil {
		return wire.Result{}, err
	}
	return r.done("Index " + ix.Name + " created on " + t.FullName()), tx.Redefine(n)
}

// dropIndex runs DROP INDEX.
func (r *Request) dropIndex(tx *store.Tx, s *dialect.DropIndex) (wire.Result, error) {
	id := s.Name[len(s.Name)-1]
	t := indexTable(tx.Catalog(), r.indexNamespace(s), id.Name)
	if t == nil {
		if s.IfExists {
			return r.done("Index " + id.Name + " does not exist"), nil
		}
		return wire.Result{}, r.fail(id.Pos, wire.CodeTableNotFound, "Index ", id.Name, " not found: it does not exist in namespace ", r.indexNamespace(s))
	}
	n := t.Clone()
	if err := tx.DropIndex(n, n.Index(id.Name)); err != nil {
		return wire.Result{}, err
	}
	n.Indexes = slices.DeleteFunc(n.Indexes, func(ix catalog.Index) bool { return ix.Name == id.Name })
	return r.done("Index " + id.Name + " dropped"), tx.Redefine(n)
}

// indexed is the table that an index statement is about.
func (r *Request) indexed(tx *store.Tx, name dialect.Name) (*catalog.Table, error) {
	t := r.lookup(tx.Catalog(), name)
	if t == nil || t.Kind == catalog.System {
		return nil, r.fail(name[0].Pos, wire.CodeTableNotFound, "Table not found: ", name[len(name)-1].Name, " does not exist")
	}
	return t, nil
}

// indexTable finds the table of a namespace that has an index of that name.
func indexTable(c *catalog.Snapshot, namespace, index string) *catalog.Table {
	for _, t := range c.Tables(namespace) {
		if t.Index(index) != nil {
			return t
		}
	}
	return nil
}

// indexNamespace is where DROP INDEX looks.
func (r *Request) indexNamespace(s *dialect.DropIndex) string {
	switch {
	case len(s.Name) > 1:
		return s.Name[0].Name
	case len(s.Table) > 1:
		return s.Table[0].Name
	}
	return r.Namespace
}
