package sqlite

import (
	"encoding/hex"
	"strconv"
	"strings"

	"github.com/kalamdb/kalam-go/internal/catalog"
	"github.com/kalamdb/kalam-go/internal/expr"
	"github.com/kalamdb/kalam-go/internal/sqlgen"
	"github.com/kalamdb/kalam-go/wire"
)

// CreateTable returns the definition of a STRICT table without row ids, and its
// indexes.
func (target Target) CreateTable(t *catalog.Table) []string {
	var cols []string
	scope := ""
	if t.Kind.Private() {
		cols = append(cols, sqlgen.UserColumn+" TEXT NOT NULL")
		scope = sqlgen.UserColumn + ","
	}
	for i := range t.Columns {
		def := t.Columns[i].Physical() + " " + target.Type(t.Columns[i].Type)
		if t.IsKey(i) {
			def += " NOT NULL"
		}
		cols = append(cols, def)
	}
	cols = append(cols, catalog.SeqColumn+" INTEGER NOT NULL", "PRIMARY KEY("+strings.Join(sqlgen.KeyColumns(t), ",")+")")
	name := t.Physical()
	sqls := []string{"CREATE TABLE " + name + "(" + strings.Join(cols, ",") + ") STRICT, WITHOUT ROWID"}
	if len(t.Key) > 0 {
		sqls = append(sqls, "CREATE UNIQUE INDEX "+name+"_seq ON "+name+"("+scope+catalog.SeqColumn+")")
	}
	if t.Kind == catalog.Stream { // to find what has lived its time; rows come in at its end
		sqls = append(sqls, "CREATE INDEX "+name+"_ttl ON "+name+"("+catalog.SeqColumn+")")
	}
	for i := range t.Indexes {
		sqls = append(sqls, target.CreateIndex(t, &t.Indexes[i]))
	}
	return sqls
}

// AddColumn returns an ALTER TABLE that leaves the rows as they are.
func (target Target) AddColumn(t *catalog.Table, i int, value wire.Value) string {
	c := &t.Columns[i]
	sql := "ALTER TABLE " + t.Physical() + " ADD COLUMN " + c.Physical() + " " + target.Type(c.Type)
	if !value.IsNull() {
		sql += " DEFAULT " + stored(value, c.Type)
	}
	return sql
}

// stored writes a value in its stored form.
func stored(v wire.Value, t wire.Type) string {
	switch v.Tag() {
	case wire.TagBool:
		if v.Bool() {
			return "1"
		}
		return "0"
	case wire.TagInt:
		return "(" + strconv.FormatInt(v.Int(), 10) + ")"
	case wire.TagFloat:
		return "(" + strconv.FormatFloat(v.Float(), 'e', -1, 64) + ")"
	case wire.TagText:
		if t.Kind == wire.Decimal {
			return "X'" + hex.EncodeToString(expr.StoredDecimal(v.Text(), t)) + "'"
		}
		return "'" + strings.ReplaceAll(v.Text(), "'", "''") + "'"
	case wire.TagBytes:
		return "X'" + hex.EncodeToString([]byte(v.Raw())) + "'"
	}
	return "NULL"
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

// IndexKey leaves out the scale of a DECIMAL that has one of its own.
func (Target) IndexKey(sql string, t wire.Type) string {
	if expr.OwnScale(t) {
		return expr.DecimalKey(sql)
	}
	return sql
}

// MostColumns stays below the 2,000 columns of SQLite.
func (Target) MostColumns() int { return 1900 }

// Rows reads the array with json_each.
func (Target) Rows(cols []wire.Field, arg string) string {
	sql := "SELECT "
	for i := range cols {
		if i > 0 {
			sql += ","
		}
		sql += "value->>" + strconv.Itoa(i) + ` AS "` + cols[i].Name + `"`
	}
	return sql + " FROM json_each(" + arg + ")"
}
