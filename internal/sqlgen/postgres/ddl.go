package postgres

import (
	"strings"

	"github.com/kalamdb/kalam-go/internal/catalog"
	"github.com/kalamdb/kalam-go/internal/expr"
	"github.com/kalamdb/kalam-go/internal/sqlgen"
	"github.com/kalamdb/kalam-go/wire"
)

// column returns the definition of a column. Texts compare by their bytes,
// whatever the locale of the database.
func (target Target) column(name string, t wire.Type) string {
	def := name + " " + target.Type(t)
	if t.Kind == wire.Text {
		def += ` COLLATE "C"`
	}
	return def
}

// CreateTable returns the definition of a table and its indexes.
func (target Target) CreateTable(t *catalog.Table) []string {
	var cols []string
	scope := ""
	if t.Kind.Private() {
		cols = append(cols, target.column(sqlgen.UserColumn, wire.Type{Kind: wire.Text})+" NOT NULL")
		scope = sqlgen.UserColumn + ","
	}
	for i := range t.Columns {
		def := target.column(t.Columns[i].Physical(), t.Columns[i].Type)
		if t.IsKey(i) {
			def += " NOT NULL"
		}
		cols = append(cols, def)
	}
	cols = append(cols, catalog.SeqColumn+" bigint NOT NULL", "PRIMARY KEY("+strings.Join(sqlgen.KeyColumns(t), ",")+")")
	name := t.Physical()
	sqls := []string{"CREATE TABLE " + name + "(" + strings.Join(cols, ",") + ")"}
	if len(t.Key) > 0 {
		sqls = append(sqls, "CREATE UNIQUE INDEX "+name+"_seq ON "+name+"("+scope+catalog.SeqColumn+")")
	}
	if t.Kind == catalog.Stream {
		sqls = append(sqls, "CREATE INDEX "+name+"_ttl ON "+name+"("+catalog.SeqColumn+")")
	}
	for i := range t.Indexes {
		sqls = append(sqls, target.CreateIndex(t, &t.Indexes[i]))
	}
	return sqls
}

// AddColumn returns an ALTER TABLE whose default stays with the rows that are
// there.
func (target Target) AddColumn(t *catalog.Table, i int, value wire.Value) string {
	c := &t.Columns[i]
	sql := "ALTER TABLE " + t.Physical() + " ADD COLUMN " + target.column(c.Physical(), c.Type)
	if !value.IsNull() {
		sql += " DEFAULT " + target.constant(value, c.Type)
	}
	return sql
}

// constant writes a value where no argument may stand.
func (target Target) constant(v wire.Value, t wire.Type) string {
	if sql, ok := target.Literal(v, t); ok {
		return sql
	}
	return "CAST('" + strings.ReplaceAll(Text(v, t), "'", "''") + "' AS " + target.Type(t) + ")"
}

// Text writes a value as the server reads it.
func Text(v wire.Value, t wire.Type) string {
	if t.Kind == wire.Embedding {
		t = wire.Type{Kind: wire.Embedding, Dim: t.Dim}
	}
	text, err := expr.Cast(expr.Const(v, t), wire.Type{Kind: wire.Text})
	if err != nil {
		panic("postgres: " + err.Error())
	}
	out, err := text.Eval(&expr.Env{})
	if err != nil {
		panic("postgres: " + err.Error())
	}
	s := out.Text()
	if t.Kind == wire.Embedding {
		s = "{" + strings.Trim(s, "[]") + "}"
	}
	return s
}

// CreateIndex returns the definition of an index.
func (target Target) CreateIndex(t *catalog.Table, ix *catalog.Index) string {
	kind := "CREATE INDEX "
	if ix.Unique {
		kind = "CREATE UNIQUE INDEX "
	}
	return kind + sqlgen.Quoted(ix.Physical(t)) + " ON " + t.Physical() +
		"(" + strings.Join(sqlgen.IndexColumns(target, t, ix), ",") + ")"
}

// IndexKey returns the column: numeric compares by value.
func (Target) IndexKey(sql string, _ wire.Type) string { return sql }

// MostColumns stays below the 1,600 columns of PostgreSQL, which counts those
// that were dropped.
func (Target) MostColumns() int { return 1500 }
