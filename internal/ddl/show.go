package ddl

import (
	"strings"

	"github.com/kalamdb/kalam-go/internal/catalog"
	"github.com/kalamdb/kalam-go/internal/dialect"
	"github.com/kalamdb/kalam-go/internal/right"
	"github.com/kalamdb/kalam-go/internal/store"
	"github.com/kalamdb/kalam-go/wire"
)

var (
	_ = enter(showRight, bindShow)
	_ = enter(describeRight, func(r *Request, s *dialect.Describe) (*Statement, error) { return r.describe(s.Name, s.History) })
)

func showRight(_ string, s *dialect.Show) (right.Need, error) {
	need := right.Need{Reach: right.Listing}
	if s.Name != nil || s.Namespace != nil {
		need.Reach = right.Reading
	}
	if s.What == "ALL" || s.What == "COLUMNS" {
		need.Right, need.What = right.Administer, "SHOW "+s.What
	}
	return need, nil
}

func describeRight(_ string, s *dialect.Describe) (right.Need, error) {
	need := right.Need{Reach: right.Reading}
	if !s.Table {
		need.Right, need.What = right.Administer, "DESCRIBE without TABLE"
	}
	return need, nil
}

// own is a statement that stands for a query of the server's own tables.
func own(sql string, values ...wire.Value) (*Statement, error) {
	return &Statement{Reads: true, Query: &Query{SQL: sql, Values: values, Trusted: true}}, nil
}

// showTables is SHOW TABLES; generators of KalamDB 0.4 read table_id.
const showTables = "SELECT *, namespace_id || ':' || table_name AS table_id FROM system.tables"

func bindShow(r *Request, s *dialect.Show) (*Statement, error) {
	switch s.What {
	case "NAMESPACES":
		return own("SELECT * FROM system.namespaces ORDER BY name")
	case "TABLES":
		if s.Namespace == nil {
			return own(showTables + " ORDER BY table_type = 'system', namespace_id, table_name")
		}
		if err := right.InNamespaces(r.Who.Scope, s.Namespace.Name); err != nil {
			return nil, r.at(s.Pos(), err)
		}
		if r.DB.Catalog().Namespace(s.Namespace.Name) == nil {
			return nil, r.at(s.Namespace.Pos, NoNamespace(s.Namespace.Name))
		}
		return own(showTables+" WHERE namespace_id = $1 ORDER BY table_name", wire.TextValue(s.Namespace.Name))
	case "COLUMNS":
		return r.describe(s.Name, false)
	case "INDEXES":
		return r.showTable(s.Name, indexes)
	case "CONSTRAINTS":
		return r.showTable(s.Name, constraints)
	case "ALL":
		return own("SELECT * FROM system.settings ORDER BY name")
	case "STORAGES":
		return r.showStorages()
	case "MANIFEST":
		return own("SELECT * FROM system.manifest ORDER BY cache_key")
	case "STATS":
		return r.showStats(s.Name)
	}
	return nil, r.fail(s.Pos(), wire.CodeUnsupported, "SHOW ", s.What, " is not supported")
}

// showStats counts the rows of a table that the caller sees.
func (r *Request) showStats(name dialect.Name) (*Statement, error) {
	t, err := r.readable(r.DB.Catalog(), name)
	if err != nil {
		return nil, err
	}
	// The last three are of the original's storage; its clients read them.
	return &Statement{Reads: true, Query: &Query{
		SQL: `SELECT $1 AS table_name, $2 AS namespace, $3::INT AS schema_version, count(*) AS logical_rows,
			0::BIGINT AS flushed_segments, 0::BIGINT AS active_streams, 0::BIGINT AS memory_bytes FROM ` + quoted(t.Namespace) + "." + quoted(t.Name),
		Values: []wire.Value{wire.TextValue(t.Name), wire.TextValue(t.Namespace), wire.IntValue(int64(t.Version))},
	}}, nil
}

func quoted(name string) string { return `"` + strings.ReplaceAll(name, `"`, `""`) + `"` }

// describe binds DESCRIBE and SHOW COLUMNS; with history each version of the
// definition.
func (r *Request) describe(name dialect.Name, history bool) (*Statement, error) {
	t, err := r.readable(r.DB.Catalog(), name)
	if err != nil {
		return nil, err
	}
	return reading(func(tx *store.Tx) (wire.Result, error) {
		versions := []*catalog.Table{t}
		if history && t.Kind != catalog.System {
			var err error
			if versions, err = tx.History(t); err != nil {
				return wire.Result{}, err
			}
		}
		return r.described(versions), nil
	}), nil
}

// showTable binds a list of what belongs to a table that the caller may read.
func (r *Request) showTable(name dialect.Name, list func(t *catalog.Table, add func(cells ...wire.Value)) (fields []wire.Field)) (*Statement, error) {
	t, err := r.readable(r.DB.Catalog(), name)
	if err != nil {
		return nil, err
	}
	return reading(func(*store.Tx) (wire.Result, error) {
		res := r.done("")
		res.Schema = list(t, func(cells ...wire.Value) { res.Rows = append(res.Rows, cells) })
		for i := range res.Schema {
			res.Schema[i].Index = i
		}
		res.RowCount = len(res.Rows)
		return res, nil
	}), nil
}

// indexes lists the indexes of a table beside that of its key.
func indexes(t *catalog.Table, add func(cells ...wire.Value)) []wire.Field {
	for _, ix := range t.Indexes {
		add(wire.TextValue(ix.Name), wire.TextValue(columnNames(t, ix.Columns)), wire.BoolValue(ix.Unique))
	}
	text := wire.Type{Kind: wire.Text}
	return []wire.Field{{Name: "index_name", Type: text}, {Name: "column_names", Type: text}, {Name: "is_unique", Type: wire.Type{Kind: wire.Boolean}}}
}

// constraints lists the key, the unique indexes and the checks of a table as
// CREATE TABLE writes them.
func constraints(t *catalog.Table, add func(cells ...wire.Value)) []wire.Field {
	if len(t.Key) > 0 {
		ids := make([]int, len(t.Key))
		for i, c := range t.Key {
			ids[i] = t.Columns[c].ID
		}
		add(wire.TextValue(t.Name+"_pkey"), wire.TextValue("PRIMARY KEY"), wire.TextValue("PRIMARY KEY ("+columnNames(t, ids)+")"))
	}
	for _, ix := range t.Indexes {
		if ix.Unique {
			add(wire.TextValue(ix.Name), wire.TextValue("UNIQUE"), wire.TextValue("UNIQUE ("+columnNames(t, ix.Columns)+")"))
		}
	}
	for _, c := range t.Checks {
		add(wire.TextValue(c.Name), wire.TextValue("CHECK"), wire.TextValue("CHECK ("+c.Expr+")"))
	}
	text := wire.Type{Kind: wire.Text}
	return []wire.Field{{Name: "constraint_name", Type: text}, {Name: "constraint_type", Type: text}, {Name: "definition", Type: text}}
}

// columnNames are the columns with those ids.
func columnNames(t *catalog.Table, ids []int) string {
	names := make([]string, len(ids))
	for i, id := range ids {
		names[i] = t.Columns[t.ByID(id)].Name
	}
	return strings.Join(names, ", ")
}

// described lists the columns of definitions.
func (r *Request) described(versions []*catalog.Table) wire.Result {
	res := r.done("")
	field := func(name string, k wire.Kind) {
		res.Schema = append(res.Schema, wire.Field{Name: name, Type: wire.Type{Kind: k}, Index: len(res.Schema)})
	}
	field("column_name", wire.Text)
	field("ordinal_position", wire.BigInt)
	field("column_id", wire.BigInt)
	field("data_type", wire.Text)
	field("is_nullable", wire.Boolean)
	field("is_primary_key", wire.Boolean)
	field("column_default", wire.Text)
	field("column_comment", wire.Text)
	field("schema_version", wire.BigInt)
	for _, t := range versions {
		for i := range t.Columns {
			c := &t.Columns[i]
			def := wire.Null
			switch {
			case c.Serial > 0:
				def = wire.TextValue("SERIAL")
			case c.Default != "":
				def = wire.TextValue(c.Default)
			}
			res.Rows = append(res.Rows, []wire.Value{
				wire.TextValue(c.Name), wire.IntValue(int64(i + 1)), wire.IntValue(int64(c.ID)), wire.TextValue(c.SQLType),
				wire.BoolValue(!c.NotNull && !t.IsKey(i)), wire.BoolValue(t.IsKey(i)), def, wire.Null, wire.IntValue(int64(t.Version)),
			})
		}
	}
	res.RowCount = len(res.Rows)
	return res
}
