package bind

import (
	"slices"

	"github.com/kalamdb/kalam-go/internal/catalog"
	"github.com/kalamdb/kalam-go/internal/dialect"
	"github.com/kalamdb/kalam-go/internal/expr"
	"github.com/kalamdb/kalam-go/wire"
)

// PolicyTree is a condition of a policy with what its names mean. Inside of a
// membership each column has the name of its table, and each table that of its
// namespace, so that a column or table that is added later changes nothing.
type PolicyTree struct {
	x       dialect.Expr
	columns []namedColumn
	tables  []namedTable
}

// namedColumn is a place of the tree that names a column.
type namedColumn struct {
	at      *dialect.Column
	table   *catalog.Table
	column  int  // index into the columns of table
	aliased bool // the table has another name in the tree
}

// namedTable is a place of the tree that names a table.
type namedTable struct {
	at    *dialect.TableRef
	table *catalog.Table
}

// PolicyTree binds a condition of a policy on a table, which it changes to the
// form that is stored. May is asked for each table that a membership reads.
func (b *Binder) PolicyTree(t *catalog.Table, x dialect.Expr) (*PolicyTree, error) {
	own := b.ofPolicy(t, b.Source)
	own.May = b.May
	own.resolved = make(map[*dialect.Ident]*resolvedName)
	r := own.relation(t, nil)
	if _, err := own.membershipsAndRest(r, x); err != nil {
		return nil, err
	}
	tree := &PolicyTree{x: x}
	return tree, tree.name(own, x, t, 0)
}

// name finds what the names below n mean, and completes those in memberships.
func (tree *PolicyTree) name(b *Binder, n dialect.Node, t *catalog.Table, depth int) (err error) {
	dialect.Walk(n, func(n dialect.Node) bool {
		switch n := n.(type) {
		case *dialect.Query:
			if depth == 0 {
				err = tree.name(b, n.Body, t, 1)
				return false
			}
		case *dialect.TableRef:
			ns := t.Namespace
			if len(n.Name) > 1 {
				ns = n.Name[0].Name
			} else {
				n.Name = dialect.Name{{Name: ns, Pos: n.Pos()}, n.Name[0]}
			}
			tree.tables = append(tree.tables, namedTable{n, b.Catalog.Table(ns, n.Name[1].Name)})
		case *dialect.Column:
			if err == nil {
				err = tree.column(b, n, depth)
			}
		}
		return err == nil
	})
	return err
}

// column notes what a column's name means.
func (tree *PolicyTree) column(b *Binder, n *dialect.Column, depth int) error {
	found := b.resolved[&n.Name[0]]
	if found == nil {
		return b.fail(wire.CodeInternal, n.Pos(), "column ", n.Name[len(n.Name)-1].Name, " of a policy was not bound")
	}
	r := found.relation
	if found.column >= len(r.table.Columns) {
		return b.fail(wire.CodeInvalidSQL, n.Pos(), "a policy has no ", n.Name[len(n.Name)-1].Name, ", which a row gets when it is stored")
	}
	if depth > 0 && len(n.Name) == 1 {
		n.Name = dialect.Name{{Name: r.as, Pos: n.Pos()}, n.Name[0]}
	}
	tree.columns = append(tree.columns, namedColumn{n, r.table, found.column, r.as != r.table.Name})
	return nil
}

// resolvedName is what the name of a column means.
type resolvedName struct {
	relation *relation
	column   int
}

// Text is the condition as it is stored.
func (tree *PolicyTree) Text() string { return dialect.Print(tree.x) }

// Reads reports whether a membership reads the table.
func (tree *PolicyTree) Reads(t *catalog.Table) bool {
	return slices.ContainsFunc(tree.tables, func(n namedTable) bool { return n.table.ID == t.ID })
}

// Uses reports whether the condition names column i of t.
func (tree *PolicyTree) Uses(t *catalog.Table, i int) bool {
	return slices.ContainsFunc(tree.columns, func(n namedColumn) bool { return n.table.ID == t.ID && n.column == i })
}

// RenameColumn gives column i of t another name in the tree.
func (tree *PolicyTree) RenameColumn(t *catalog.Table, i int, to dialect.Ident) {
	for _, n := range tree.columns {
		if n.table.ID == t.ID && n.column == i {
			n.at.Name[len(n.at.Name)-1] = to
		}
	}
}

// RenameTable gives t another name in the tree.
func (tree *PolicyTree) RenameTable(t *catalog.Table, to dialect.Ident) {
	for _, n := range tree.tables {
		if n.table.ID == t.ID {
			n.at.Name[1] = to
		}
	}
	for _, n := range tree.columns {
		if n.table.ID == t.ID && !n.aliased && len(n.at.Name) > 1 {
			n.at.Name[len(n.at.Name)-2] = to
		}
	}
}

// seen returns what notes the meaning of names, nil when nobody asks.
func (b *Binder) seen() func(dialect.Name, *expr.Column) {
	if b.resolved == nil {
		return nil
	}
	return func(name dialect.Name, c *expr.Column) {
		for _, r := range b.made {
			for i := range r.cols {
				if r.cols[i].column == c {
					b.resolved[&name[0]] = &resolvedName{r, i}
				}
			}
		}
	}
}
