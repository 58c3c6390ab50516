package store

import (
	"github.com/kalamdb/kalam-go/internal/catalog"
	"github.com/kalamdb/kalam-go/internal/expr"
	"github.com/kalamdb/kalam-go/wire"
)

// catalogName is the one database that information_schema speaks of.
const catalogName = "kalam"

// information is information_schema: the standard's description of what
// exists, the server's own tables included, from the catalog in memory.
func (db *DB) information() []*catalog.Table {
	table := func(name string, rows func(add adder), cols ...catalog.Column) *catalog.Table {
		return catalog.NewSystem(catalog.InformationNamespace, name, cols, "", func() [][]wire.Value {
			var out [][]wire.Value
			rows(func(values ...any) { out = append(out, cells(values)) })
			return out
		})
	}
	text := func(name string) catalog.Column { return catalog.Col(name, wire.Text, true) }
	maybe := func(name string) catalog.Column { return catalog.Col(name, wire.Text, false) }
	number := func(name string) catalog.Column { return catalog.Col(name, wire.Int, false) }
	return []*catalog.Table{
		table("schemata", db.schemata,
			text("catalog_name"), text("schema_name"), maybe("schema_owner")),
		table("tables", db.infoTables,
			text("table_catalog"), text("table_schema"), text("table_name"), text("table_type")),
		table("columns", db.infoColumns,
			text("table_catalog"), text("table_schema"), text("table_name"), text("column_name"), number("ordinal_position"),
			maybe("column_default"), text("is_nullable"), text("data_type"), number("character_maximum_length"),
			number("numeric_precision"), number("numeric_scale"), number("datetime_precision"),
			text("udt_schema"), text("udt_name"), text("is_identity"), text("is_generated"), text("is_updatable")),
		table("key_column_usage", db.keyColumns,
			text("constraint_catalog"), text("constraint_schema"), text("constraint_name"),
			text("table_catalog"), text("table_schema"), text("table_name"), text("column_name"),
			number("ordinal_position"), number("position_in_unique_constraint")),
		table("table_constraints", db.tableConstraints,
			text("constraint_catalog"), text("constraint_schema"), text("constraint_name"),
			text("table_catalog"), text("table_schema"), text("table_name"), text("constraint_type"),
			text("is_deferrable"), text("initially_deferred"), text("enforced")),
	}
}

// adder takes one row: strings, ints, and nil for NULL.
type adder func(values ...any)

func cells(values []any) []wire.Value {
	row := make([]wire.Value, len(values))
	for i, v := range values {
		switch v := v.(type) {
		case string:
			row[i] = wire.TextValue(v)
		case int:
			row[i] = wire.IntValue(int64(v))
		}
	}
	return row
}

// yesNo is the standard's boolean.
func yesNo(b bool) string {
	if b {
		return "YES"
	}
	return "NO"
}

func (db *DB) schemata(add adder) {
	for _, n := range db.Catalog().Namespaces() {
		add(catalogName, n.Name, nil)
	}
}

func (db *DB) infoTables(add adder) {
	for _, t := range db.Catalog().All() {
		kind := "BASE TABLE"
		if t.Kind == catalog.System {
			kind = "VIEW"
		}
		add(catalogName, t.Namespace, t.Name, kind)
	}
}

func (db *DB) infoColumns(add adder) {
	for _, t := range db.Catalog().All() {
		for i := range t.Columns {
			c := &t.Columns[i]
			var def, length, precision, scale, fraction any
			limit, limited := expr.Modifier(c.Limit).Limit()
			if c.Default != "" {
				def = c.Default
			}
			switch c.Type.Kind {
			case wire.SmallInt:
				precision, scale = 16, 0
			case wire.Int:
				precision, scale = 32, 0
			case wire.BigInt:
				precision, scale = 64, 0
			case wire.Float:
				precision = 24
			case wire.Double:
				precision = 53
			case wire.Decimal:
				if !expr.OwnScale(c.Type) {
					precision, scale = int(c.Type.Precision), int(c.Type.Scale)
				}
			case wire.Text:
				if limited {
					length = limit
				}
			case wire.Timestamp, wire.DateTime, wire.Time:
				if fraction = 6; limited {
					fraction = limit
				}
			case wire.Date:
				fraction = 0
			}
			nullable := !c.NotNull && !t.IsKey(i)
			add(catalogName, t.Namespace, t.Name, c.Name, i+1, def, yesNo(nullable), c.SQLType, length,
				precision, scale, fraction, "pg_catalog", udtName(c.Type.Kind), "NO", "NEVER", yesNo(t.Kind != catalog.System))
		}
	}
}

// udtName is PostgreSQL's name of a type.
func udtName(k wire.Kind) string {
	switch k {
	case wire.Boolean:
		return "bool"
	case wire.SmallInt:
		return "int2"
	case wire.Int:
		return "int4"
	case wire.BigInt:
		return "int8"
	case wire.Float:
		return "float4"
	case wire.Double:
		return "float8"
	case wire.Decimal:
		return "numeric"
	case wire.Bytes:
		return "bytea"
	case wire.JSON, wire.File:
		return "jsonb"
	case wire.UUID:
		return "uuid"
	case wire.Date:
		return "date"
	case wire.Time:
		return "time"
	case wire.Timestamp:
		return "timestamp"
	case wire.DateTime:
		return "timestamptz"
	case wire.Embedding:
		return "vector"
	}
	return "text"
}

// constraint is one that is enforced on a table. A unique index counts as one.
type constraint struct {
	name, kind string
	columns    []int // indexes into the table's columns; nil for CHECK
}

func constraints(t *catalog.Table) []constraint {
	var out []constraint
	if len(t.Key) > 0 {
		out = append(out, constraint{t.Name + "_pkey", "PRIMARY KEY", t.Key})
	}
	for _, ix := range t.Indexes {
		if !ix.Unique {
			continue
		}
		c := constraint{name: ix.Name, kind: "UNIQUE"}
		for _, id := range ix.Columns {
			c.columns = append(c.columns, t.ByID(id))
		}
		out = append(out, c)
	}
	for _, c := range t.Checks {
		out = append(out, constraint{name: c.Name, kind: "CHECK"})
	}
	return out
}

func (db *DB) keyColumns(add adder) {
	for _, t := range db.Catalog().All() {
		for _, c := range constraints(t) {
			for k, i := range c.columns {
				add(catalogName, t.Namespace, c.name, catalogName, t.Namespace, t.Name, t.Columns[i].Name, k+1, nil)
			}
		}
	}
}

func (db *DB) tableConstraints(add adder) {
	for _, t := range db.Catalog().All() {
		for _, c := range constraints(t) {
			add(catalogName, t.Namespace, c.name, catalogName, t.Namespace, t.Name, c.kind, "NO", "NO", "YES")
		}
	}
}

// History returns the versions of a table's definition, the oldest first.
func (tx *Tx) History(t *catalog.Table) ([]*catalog.Table, error) {
	var out []*catalog.Table
	err := tx.Query(versionAll, []wire.Value{wire.IntValue(t.ID)}, func(row []wire.Value) error {
		v, err := decodeTable(row[0].Text())
		out = append(out, v)
		return err
	})
	return out, err
}
