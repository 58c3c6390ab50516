package engine

import (
	"strconv"
	"strings"
	"time"

	"github.com/kalamdb/kalam-go/internal/catalog"
	"github.com/kalamdb/kalam-go/internal/dialect"
	"github.com/kalamdb/kalam-go/internal/store"
	"github.com/kalamdb/kalam-go/wire"
)

// own plans a query of the server's own, on tables of the server's own, for
// whoever may run the statement behind it.
func (r *run) own(p *plan, sql string, params ...wire.Value) error {
	own := *r
	own.trusted = true
	return own.ask(p, sql, params...)
}

// ask plans a query that stands behind a statement, with the caller's rights.
func (r *run) ask(p *plan, sql string, params ...wire.Value) error {
	src, err := dialect.Parse(sql)
	if err != nil {
		return err
	}
	q, err := r.plan(sql, src.Statements[0], params)
	if err != nil {
		return err
	}
	p.query, p.rows, p.args, p.params, p.own = q.query, q.rows, q.args, q.params, params
	if p.own == nil {
		p.own = []wire.Value{}
	}
	return nil
}

// showTables is SHOW TABLES; generators of KalamDB 0.4 read table_id.
const showTables = "SELECT *, namespace_id || ':' || table_name AS table_id FROM system.tables"

// show plans SHOW.
func (r *run) show(p *plan, s *dialect.Show) error {
	switch s.What {
	case "NAMESPACES":
		return r.own(p, "SELECT * FROM system.namespaces ORDER BY name")
	case "TABLES":
		if s.Namespace == nil {
			return r.own(p, showTables+" ORDER BY table_type = 'system', namespace_id, table_name")
		}
		if r.e.db.Catalog().Namespace(s.Namespace.Name) == nil {
			return at(p.source, s.Namespace.Pos, noNamespace(s.Namespace.Name))
		}
		return r.own(p, showTables+" WHERE namespace_id = $1 ORDER BY table_name", wire.TextValue(s.Namespace.Name))
	case "COLUMNS":
		return r.describe(p, s.Name, false)
	case "INDEXES":
		return r.showTable(p, s.Name, indexes)
	case "CONSTRAINTS":
		return r.showTable(p, s.Name, constraints)
	case "ALL":
		return r.own(p, "SELECT * FROM system.settings ORDER BY name")
	case "STORAGES":
		return r.showStorages(p)
	case "MANIFEST":
		return r.own(p, "SELECT * FROM system.manifest ORDER BY cache_key")
	case "STATS":
		t := lookup(r.e.db.Catalog(), r.namespace, s.Name)
		if t == nil {
			return at(p.source, s.Name[0].Pos, noTable(s.Name))
		}
		if e := mayUse(r.who.Role, t, false); e != nil {
			return at(p.source, s.Name[0].Pos, e)
		}
		// The last three are of the original's storage; its clients read them.
		return r.ask(p, `SELECT $1 AS table_name, $2 AS namespace, $3::INT AS schema_version, count(*) AS logical_rows,
			0::BIGINT AS flushed_segments, 0::BIGINT AS active_streams, 0::BIGINT AS memory_bytes FROM `+quoted(t.Namespace)+"."+quoted(t.Name),
			wire.TextValue(t.Name), wire.TextValue(t.Namespace), wire.IntValue(int64(t.Version)))
	}
	return at(p.source, s.Pos(), wire.NewError(wire.CodeUnsupported, "SHOW ", s.What, " is not supported"))
}

func noTable(name dialect.Name) *wire.Error {
	return wire.NewError(wire.CodeTableNotFound, "Table not found: ", name[len(name)-1].Name, " does not exist")
}

func quoted(name string) string { return `"` + strings.ReplaceAll(name, `"`, `""`) + `"` }

// describe plans DESCRIBE and SHOW COLUMNS; with history each version of the
// definition.
func (r *run) describe(p *plan, name dialect.Name, history bool) error {
	t := lookup(r.e.db.Catalog(), r.namespace, name)
	if t == nil {
		return at(p.source, name[0].Pos, noTable(name))
	}
	if e := mayUse(r.who.Role, t, false); e != nil {
		return at(p.source, name[0].Pos, e)
	}
	p.reads = true
	p.other = func(r *run, tx *store.Tx, p *plan) (wire.Result, error) {
		versions := []*catalog.Table{t}
		if history && t.Kind != catalog.System {
			var err error
			if versions, err = tx.History(t); err != nil {
				return wire.Result{}, err
			}
		}
		return r.described(versions), nil
	}
	return nil
}

// showTable plans a list of what belongs to a table that the caller may read.
func (r *run) showTable(p *plan, name dialect.Name, list func(t *catalog.Table, add func(cells ...wire.Value)) (fields []wire.Field)) error {
	t := lookup(r.e.db.Catalog(), r.namespace, name)
	if t == nil {
		return at(p.source, name[0].Pos, noTable(name))
	}
	if e := mayUse(r.who.Role, t, false); e != nil {
		return at(p.source, name[0].Pos, e)
	}
	p.reads = true
	p.other = func(r *run, _ *store.Tx, p *plan) (wire.Result, error) {
		res := r.done("")
		res.Schema = list(t, func(cells ...wire.Value) { res.Rows = append(res.Rows, cells) })
		for i := range res.Schema {
			res.Schema[i].Index = i
		}
		res.RowCount = len(res.Rows)
		return res, nil
	}
	return nil
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
func (r *run) described(versions []*catalog.Table) wire.Result {
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

var anyRead = &store.Stmt{SQL: "SELECT 1 FROM meta LIMIT 1", Cols: []wire.Type{{Kind: wire.BigInt}}}

// explain plans EXPLAIN: it shows the statement as it was understood and how
// the engine reads its rows; with ANALYZE it runs it and tells rows and time.
func (r *run) explain(p *plan, s *dialect.Explain, params []wire.Value) error {
	inner, err := r.plan(p.source, s.Inner, params)
	if err != nil {
		return err
	}
	if s.Analyze && inner.query == nil {
		return at(p.source, s.Pos(), wire.NewError(wire.CodeUnsupported, "EXPLAIN ANALYZE of a statement that writes is not supported"))
	}
	p.params, p.tables, p.table, p.reads = inner.params, inner.tables, inner.table, true
	p.other = func(r *run, tx *store.Tx, p *plan) (wire.Result, error) {
		env, err := r.env(inner, params)
		if err != nil {
			return wire.Result{}, err
		}
		text := wire.Type{Kind: wire.Text}
		res := r.done("")
		res.Schema = []wire.Field{{Name: "plan_type", Type: text}, {Name: "plan", Type: text, Index: 1}}
		add := func(kind, line string) {
			res.Rows = append(res.Rows, []wire.Value{wire.TextValue(kind), wire.TextValue(line)})
		}
		add("logical_plan", dialect.Print(s.Inner))
		if inner.rows == nil {
			add("physical_plan", "evaluate the values and insert them by key")
		} else {
			// The engine explains with the indexes that the connection knows, or
			// knew when it explained this before. So a read, which looks for new
			// ones, comes first, and each version of the catalog has a text.
			if err := tx.Query(anyRead, nil, func([]wire.Value) error { return nil }); err != nil {
				return wire.Result{}, err
			}
			number := wire.Type{Kind: wire.BigInt}
			how := &store.Stmt{SQL: "EXPLAIN QUERY PLAN /* " + strconv.FormatInt(inner.version.Load(), 10) + " */ " + inner.rows.SQL, Args: inner.rows.Args, Cols: []wire.Type{number, number, number, text}}
			lines := ""
			err = tx.Query(how, inner.values(env), func(row []wire.Value) error {
				if lines != "" {
					lines += "\n"
				}
				lines += row[3].Text()
				return nil
			})
			if err != nil {
				return wire.Result{}, err
			}
			add("physical_plan", lines)
		}
		if s.Analyze {
			start := time.Now()
			out, err := r.query(inner, env, tx.Query)
			if err != nil {
				return wire.Result{}, err
			}
			took := strconv.FormatFloat(float64(time.Since(start).Microseconds())/1000, 'f', 3, 64)
			add("analyze", itoa(out.RowCount)+" row(s) in "+took+" ms")
		}
		res.RowCount = len(res.Rows)
		return res, nil
	}
	return nil
}
