package store

import (
	"strconv"
	"strings"

	"github.com/kalamdb/kalam-go/internal/catalog"
	"github.com/kalamdb/kalam-go/wire"
)

// own calls fn for each of the server's own tables.
func (db *DB) own(fn func(t *catalog.Table)) {
	for _, t := range db.Catalog().All() {
		if t.Kind == catalog.System {
			fn(t)
		}
	}
}

// systemTables are the rows of system.tables about the server's own tables.
func (db *DB) systemTables() (rows [][]wire.Value) {
	at := wire.IntValue(db.opened.UnixMicro())
	db.own(func(t *catalog.Table) {
		rows = append(rows, []wire.Value{
			wire.TextValue(t.Namespace), wire.TextValue(t.Name), wire.TextValue(t.Kind.String()), wire.Null,
			wire.IntValue(int64(t.Version)), wire.Null, wire.Null, at, at,
		})
	})
	return rows
}

// systemColumns are the rows of system.columns about the server's own tables.
func (db *DB) systemColumns() (rows [][]wire.Value) {
	db.own(func(t *catalog.Table) {
		for i := range t.Columns {
			c := &t.Columns[i]
			place := wire.Null
			for k, column := range t.Key {
				if column == i {
					place = wire.IntValue(int64(k + 1))
				}
			}
			rows = append(rows, []wire.Value{
				wire.TextValue(t.Namespace), wire.TextValue(t.Name), wire.IntValue(int64(t.Version)), wire.IntValue(int64(i + 1)),
				wire.TextValue(c.Name), wire.Null, wire.TextValue(c.SQLType), wire.Null, wire.IntValue(int64(i + 1)),
				wire.BoolValue(!c.NotNull), wire.BoolValue(t.IsKey(i)), place,
			})
		}
	})
	return rows
}

// systemSchemas are the rows of system.schemas about the server's own tables.
func (db *DB) systemSchemas() (rows [][]wire.Value) {
	at := wire.IntValue(db.opened.UnixMicro())
	db.own(func(t *catalog.Table) {
		rows = append(rows, []wire.Value{
			wire.TextValue(t.Namespace + ":" + t.Name), wire.TextValue(t.Name), wire.TextValue(t.Namespace),
			wire.TextValue(t.Kind.String()), at, wire.IntValue(int64(t.Version)), wire.TextValue(columnsJSON(t)), wire.Null, at,
			wire.TextValue(`{"table_type":"system"}`), wire.Null, wire.BoolValue(true), wire.Null, wire.BoolValue(false), wire.TextValue("[]"),
		})
	})
	return rows
}

// systemPolicies are the rows of system.policies.
func (db *DB) systemPolicies() (rows [][]wire.Value) {
	text := func(s string) wire.Value {
		if s == "" {
			return wire.Null
		}
		return wire.TextValue(s)
	}
	for _, t := range db.Catalog().All() {
		for _, p := range t.Policies {
			roles := `["public"]`
			if len(p.Roles) > 0 {
				roles = `["` + strings.Join(p.Roles, `","`) + `"]`
			}
			rows = append(rows, []wire.Value{
				wire.TextValue(t.Namespace), wire.TextValue(t.Name), wire.TextValue(p.Name), wire.BoolValue(!p.Restrictive),
				wire.TextValue(strings.ToUpper(string(p.Command))), wire.TextValue(roles), text(p.Using), text(p.Check),
			})
		}
	}
	return rows
}

// columnsJSON is the cell "columns" of system.schemas for one of the server's
// own tables, whose columns have no defaults.
func columnsJSON(t *catalog.Table) string {
	var b strings.Builder
	b.WriteByte('[')
	for i := range t.Columns {
		c := &t.Columns[i]
		if i > 0 {
			b.WriteByte(',')
		}
		n := strconv.Itoa(i + 1)
		b.WriteString(`{"column_name":`)
		b.Write(wire.AppendString(nil, c.Name))
		b.WriteString(`,"column_id":` + n + `,"ordinal_position":` + n + `,"data_type":`)
		b.Write(wire.AppendType(nil, c.Type))
		b.WriteString(`,"is_nullable":` + strconv.FormatBool(!c.NotNull) + `,"is_primary_key":` + strconv.FormatBool(t.IsKey(i)) +
			`,"is_partition_key":false,"default_value":"None","column_default":null,"column_comment":null}`)
	}
	b.WriteByte(']')
	return b.String()
}
