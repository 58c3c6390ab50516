//go:build postgres

package engine_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
)

// generator writes random statements from PostgreSQL's manual, not from what we
// take: tables with constraints, rows, queries, and writes that violate them.
type generator struct {
	*rand.Rand
	schema string
	tables []*genTable
	names  int
	loose  map[string]bool // queries whose rows may come in another order
}

type genTable struct {
	name string
	cols []genCol // the first is the key
}

// genCol is a column in sight: its name as written and its type.
type genCol struct{ name, typ string }

var genTypes = []string{"int", "bigint", "numeric", "text", "boolean", "date", "timestamp"}

func (g *generator) pick(list ...string) string { return list[g.IntN(len(list))] }

func (g *generator) one(n int) bool { return g.IntN(n) == 0 }

func (g *generator) name(prefix string) string {
	g.names++
	return fmt.Sprintf("%s%d", prefix, g.names)
}

func (g *generator) statements(n int) []string {
	list := []string{"CREATE SCHEMA " + g.schema}
	for range 3 {
		list = append(list, g.createTable())
		list = append(list, g.insert(g.tables[len(g.tables)-1], 8))
	}
	for len(list) < n {
		switch g.IntN(10) {
		case 0, 1:
			list = append(list, g.insert(g.table(), 1+g.IntN(2)))
		case 2:
			list = append(list, g.update(g.table()))
		case 3:
			list = append(list, g.delete(g.table()))
		case 4:
			list = append(list, g.insertQuery(g.table()))
		default:
			list = append(list, g.query(nil, 3).sql)
		}
	}
	return list
}

func (g *generator) table() *genTable { return g.tables[g.IntN(len(g.tables))] }

func (g *generator) createTable() string {
	t := &genTable{name: g.schema + "." + fmt.Sprintf("t%d", len(g.tables)+1)}
	t.cols = []genCol{{"id", "int"}}
	defs := []string{"id int PRIMARY KEY"}
	for i := range 3 + g.IntN(3) {
		c := genCol{fmt.Sprintf("c%d", i+1), genTypes[g.IntN(len(genTypes))]}
		t.cols = append(t.cols, c)
		def := c.name + " " + c.typ
		switch g.IntN(6) {
		case 0:
			def += " NOT NULL"
		case 1:
			def += " DEFAULT " + g.literal(c.typ)
		case 2:
			def += " UNIQUE"
		}
		defs = append(defs, def)
	}
	a, b := t.cols[1+g.IntN(len(t.cols)-1)].name, t.cols[1+g.IntN(len(t.cols)-1)].name
	if a != b && g.one(2) {
		defs = append(defs, g.pick("", "CONSTRAINT "+g.name("k")+" ")+"UNIQUE ("+a+", "+b+")")
	}
	if g.one(2) {
		defs = append(defs, "CHECK ("+g.condition(t.cols, 1)+")")
	}
	g.tables = append(g.tables, t)
	return "CREATE TABLE " + t.name + " (" + strings.Join(defs, ", ") + ")"
}

// literal is a value of a type, from few, so that they meet.
func (g *generator) literal(typ string) string {
	switch typ {
	case "int", "bigint":
		return g.pick("0", "1", "2", "3", "5", "-1", "100")
	case "numeric":
		return g.pick("0", "1.5", "2.25", "-3.10", "1.50", "100", "0.001")
	case "text":
		return g.pick("'a'", "'b'", "''", "'abc'", "'ä'", "'B c'")
	case "boolean":
		return g.pick("true", "false")
	case "date":
		return g.pick("DATE '2024-01-01'", "DATE '2024-02-29'", "DATE '1999-12-31'")
	}
	return g.pick("TIMESTAMP '2024-01-01 00:00:00'", "TIMESTAMP '2024-02-29 12:30:00.5'", "TIMESTAMP '1999-12-31 23:59:59'")
}

// column is one of that type in sight, "" for none.
func (g *generator) column(cols []genCol, typ string) string {
	var fit []string
	for _, c := range cols {
		if c.typ == typ {
			fit = append(fit, c.name)
		}
	}
	if len(fit) == 0 {
		return ""
	}
	return g.pick(fit...)
}

// value is an expression of a type over cols.
func (g *generator) value(cols []genCol, typ string, depth int) string {
	if c := g.column(cols, typ); c != "" && (depth <= 0 || g.one(2)) {
		return c
	}
	if depth <= 0 || g.one(4) {
		if g.one(6) {
			return "NULL::" + typ
		}
		return g.literal(typ)
	}
	v := func(typ string) string { return g.value(cols, typ, depth-1) }
	switch g.IntN(6) {
	case 0:
		return "CASE WHEN " + g.condition(cols, depth-1) + " THEN " + v(typ) + " ELSE " + v(typ) + " END"
	case 1:
		return "coalesce(" + v(typ) + ", " + v(typ) + ")"
	case 2:
		return "nullif(" + v(typ) + ", " + v(typ) + ")"
	}
	switch typ {
	case "int":
		return g.pick("("+v("int")+" + "+v("int")+")", "("+v("int")+" % 3)", "("+v("int")+" / 2)", "abs("+v("int")+")", "length("+v("text")+")",
			"greatest("+v("int")+", "+v("int")+")", "("+v("date")+" - "+v("date")+")", "(- "+v("int")+")")
	case "bigint":
		return g.pick("("+v("bigint")+" * "+v("int")+")", v("int")+"::bigint", "("+v("bigint")+" - "+v("bigint")+")")
	case "numeric":
		return g.pick("("+v("numeric")+" + "+v("int")+")", "("+v("numeric")+" * "+v("numeric")+")", "round("+v("numeric")+", 1)", "("+v("int")+"::numeric)")
	case "text":
		return g.pick("("+v("text")+" || "+v("text")+")", "upper("+v("text")+")", "substr("+v("text")+", "+v("int")+")", v("int")+"::text", "replace("+v("text")+", 'a', 'b')", "left("+v("text")+", 2)")
	case "boolean":
		return "(" + g.condition(cols, depth-1) + ")"
	case "date":
		return g.pick("("+v("date")+" + 1)", v("timestamp")+"::date", "least("+v("date")+", "+v("date")+")")
	}
	return g.pick("date_trunc('month', "+v("timestamp")+")", "("+v("timestamp")+" + INTERVAL '1 day')", v("date")+"::timestamp")
}

// condition is a boolean expression over cols.
func (g *generator) condition(cols []genCol, depth int) string {
	typ := genTypes[g.IntN(len(genTypes))]
	if len(cols) > 0 {
		typ = cols[g.IntN(len(cols))].typ
	}
	v := func() string { return g.value(cols, typ, depth-1) }
	switch g.IntN(9) {
	case 0:
		return "(" + g.condition(cols, depth-1) + " " + g.pick("AND", "OR") + " " + g.condition(cols, depth-1) + ")"
	case 1:
		return "NOT (" + g.condition(cols, depth-1) + ")"
	case 2:
		return v() + " IS " + g.pick("", "NOT ") + "NULL"
	case 3:
		return v() + g.pick("", " NOT") + " IN (" + v() + ", " + v() + ", " + g.literal(typ) + ")"
	case 4:
		return v() + " BETWEEN " + v() + " AND " + v()
	case 5:
		return v() + " IS " + g.pick("", "NOT ") + "DISTINCT FROM " + v()
	}
	return v() + " " + g.pick("=", "<>", "<", "<=", ">", ">=") + " " + v()
}

// genQuery is a query with the columns of its result, called x1, x2, ...
type genQuery struct {
	sql  string
	cols []genCol
}

// query is a SELECT whose rows come in one order. It may use outer.
func (g *generator) query(outer []genCol, depth int) genQuery {
	var q genQuery
	switch {
	case depth > 1 && g.one(6):
		l := g.block(outer, depth-1, []genCol{{"x1", g.pick("int", "text", "date", "boolean")}, {"x2", g.pick("bigint", "timestamp")}})
		r := g.block(outer, depth-1, l.cols)
		q = genQuery{"SELECT * FROM (" + l.sql + " " + g.pick("UNION", "UNION ALL", "INTERSECT", "EXCEPT", "INTERSECT ALL", "EXCEPT ALL") + " " + r.sql + ") u", l.cols}
	case depth > 1 && g.one(6):
		inner := g.block(nil, depth-1, nil)
		name := g.name("w")
		cols := qualified(name, inner.cols)
		q = g.selectFrom(name+g.pick("", " JOIN "+name+" AS "+name+"b ON true"), cols, outer, depth-1, nil)
		q.sql = "WITH " + name + " AS (" + inner.sql + ") " + q.sql
	default:
		q = g.block(outer, depth, nil)
	}
	var order []string
	for i := range q.cols {
		order = append(order, fmt.Sprint(i+1)+g.pick("", " DESC", " NULLS FIRST"))
	}
	q.sql += " ORDER BY " + strings.Join(order, ", ")
	switch {
	case hasNumeric(q.cols): // equal ones of several scales come in any order
		g.loose[q.sql] = true
	case g.one(5):
		q.sql += " LIMIT 3"
	}
	return q
}

func hasNumeric(cols []genCol) bool {
	return slices.ContainsFunc(cols, func(c genCol) bool { return c.typ == "numeric" })
}

func qualified(as string, cols []genCol) []genCol {
	out := make([]genCol, len(cols))
	for i, c := range cols {
		out[i] = genCol{as + "." + c.name, c.typ}
	}
	return out
}

// block is a SELECT of random sources; like gives the types of its columns.
func (g *generator) block(outer []genCol, depth int, like []genCol) genQuery {
	from, cols := g.source(depth)
	for g.one(3) && depth > 0 {
		more, others := g.source(depth - 1)
		all := append(append([]genCol{}, cols...), others...)
		from += " " + g.pick("JOIN", "LEFT JOIN", "RIGHT JOIN") + " " + more + " ON " + g.condition(all, 1)
		cols = all
	}
	return g.selectFrom(from, cols, outer, depth, like)
}

// source is an item of FROM.
func (g *generator) source(depth int) (string, []genCol) {
	as := g.name("s")
	if depth > 1 && g.one(5) {
		q := g.query(nil, depth-1)
		return "(" + q.sql + ") " + as, qualified(as, q.cols)
	}
	t := g.table()
	return t.name + " " + as, qualified(as, t.cols)
}

func (g *generator) selectFrom(from string, cols, outer []genCol, depth int, like []genCol) genQuery {
	seen := append(append([]genCol{}, cols...), outer...)
	where := ""
	if g.one(2) {
		where = " WHERE " + g.condition(seen, 2)
		if depth > 0 && g.one(3) {
			where += g.pick(" AND ", " OR ") + g.subCondition(seen, depth-1)
		}
	}
	types := make([]string, 1+g.IntN(3))
	for i := range types {
		types[i] = genTypes[g.IntN(len(genTypes))]
	}
	if like != nil {
		types = types[:0]
		for _, c := range like {
			types = append(types, c.typ)
		}
	}
	var q genQuery
	var items []string
	grouped := g.one(3)
	var keys []genCol
	if grouped && g.one(2) {
		keys = []genCol{cols[g.IntN(len(cols))]}
	}
	for i, typ := range types {
		item := ""
		switch {
		case grouped:
			item = g.aggregate(cols, append(append([]genCol{}, keys...), outer...), typ)
		case depth > 0 && g.one(4):
			item = g.scalar(seen, typ)
		case g.one(8) && (typ == "bigint"):
			item = "row_number() OVER (PARTITION BY " + g.value(cols, "int", 1) + " ORDER BY " + orderAll(cols) + ")"
		case g.one(8) && typ == "bigint":
			item = "sum(" + g.value(cols, "int", 0) + ") OVER (ORDER BY " + orderAll(cols) + ")"
		default:
			item = g.value(seen, typ, 2)
		}
		name := fmt.Sprintf("x%d", i+1)
		items = append(items, item+" AS "+name)
		q.cols = append(q.cols, genCol{name, typ})
	}
	distinct := g.pick("", "", "", "DISTINCT ")
	if hasNumeric(q.cols) {
		distinct = "" // of numbers that are equal PostgreSQL shows any, ours the shortest
	}
	q.sql = "SELECT " + distinct + strings.Join(items, ", ") + " FROM " + from + where
	if len(keys) > 0 {
		q.sql += " GROUP BY " + keys[0].name
	}
	if grouped && g.one(3) {
		q.sql += " HAVING " + g.pick("count(*) > 1", "true", "max("+g.value(cols, "int", 1)+") > "+g.value(append(append([]genCol{}, keys...), outer...), "int", 1))
	}
	return q
}

func orderAll(cols []genCol) string {
	var list []string
	for _, c := range cols {
		list = append(list, c.name)
	}
	return strings.Join(list, ", ")
}

// aggregate is an item of a grouped query: cols go into aggregates, free beside
// them.
func (g *generator) aggregate(cols, free []genCol, typ string) string {
	own := func(typ string) string { return g.value(cols, typ, 1) }
	item := ""
	switch typ {
	case "bigint":
		item = g.pick("count(*)", "count(DISTINCT "+own("int")+")", "sum("+own("int")+")", "count("+own("text")+") FILTER (WHERE "+g.condition(cols, 1)+")")
	case "numeric":
		item = g.pick("sum("+own("numeric")+")", "avg("+own("int")+")", "sum("+own("bigint")+")")
	case "boolean":
		item = g.pick("bool_or", "bool_and") + "(" + g.condition(cols, 1) + ")"
	case "text":
		item = g.pick("max("+own("text")+")", "string_agg("+own("text")+", ',' ORDER BY "+orderAll(cols)+")")
	default:
		item = g.pick("min", "max") + "(" + own(typ) + ")"
	}
	if g.one(3) {
		item = "coalesce(" + item + ", " + g.value(free, typ, 1) + ")"
	}
	return item
}

// scalar is a sub-query of one value.
func (g *generator) scalar(outer []genCol, typ string) string {
	from, cols := g.source(0)
	where := ""
	if g.one(2) {
		where = " WHERE " + g.condition(append(append([]genCol{}, cols...), outer...), 1)
	}
	return "(SELECT " + g.aggregate(cols, outer, typ) + " FROM " + from + where + ")"
}

func (g *generator) subCondition(outer []genCol, depth int) string {
	typ := g.pick("int", "text", "date")
	inner := g.block(outer, min(depth, 1), []genCol{{"x1", typ}})
	switch g.IntN(3) {
	case 0:
		return g.pick("", "NOT ") + "EXISTS (" + inner.sql + ")"
	case 1:
		return g.value(outer, typ, 1) + g.pick("", " NOT") + " IN (" + inner.sql + ")"
	}
	return g.value(outer, typ, 1) + " " + g.pick("=", "<", ">=", "<>") + " " + g.pick("ANY", "ALL") + " (" + inner.sql + ")"
}

func (g *generator) insert(t *genTable, rows int) string {
	var list []string
	for range rows {
		values := []string{fmt.Sprint(g.IntN(30))}
		for _, c := range t.cols[1:] {
			switch g.IntN(8) {
			case 0:
				values = append(values, "NULL")
			case 1:
				values = append(values, "DEFAULT")
			default:
				values = append(values, g.value(nil, c.typ, 1))
			}
		}
		list = append(list, "("+strings.Join(values, ", ")+")")
	}
	sql := "INSERT INTO " + t.name + " VALUES " + strings.Join(list, ", ")
	switch {
	case rows > 2:
		sql += " ON CONFLICT DO NOTHING"
	case g.one(3):
		sql += " ON CONFLICT DO NOTHING RETURNING " + names(t)
	case g.one(2):
		c := t.cols[1+g.IntN(len(t.cols)-1)]
		sql += " ON CONFLICT (id) DO UPDATE SET " + c.name + " = " + g.pick("EXCLUDED."+c.name, t.name+"."+c.name) + " RETURNING " + names(t)
	case rows == 1:
		sql += " RETURNING " + names(t)
	}
	return sql
}

func names(t *genTable) string { return orderAll(t.cols) }

// insertQuery inserts at most one row, so that no order shows.
func (g *generator) insertQuery(t *genTable) string {
	items := []string{fmt.Sprint(30 + g.IntN(30))}
	from, cols := g.source(0)
	for _, c := range t.cols[1:] {
		if g.one(4) {
			items = append(items, strings.TrimPrefix(strings.TrimPrefix(g.literal(c.typ), "DATE "), "TIMESTAMP "))
		} else {
			items = append(items, g.value(cols, c.typ, 1))
		}
	}
	return "INSERT INTO " + t.name + " SELECT " + strings.Join(items, ", ") + " FROM " + from + " WHERE " + cols[0].name + " = " + fmt.Sprint(g.IntN(30)) +
		" RETURNING " + names(t)
}

func (g *generator) update(t *genTable) string {
	c := t.cols[1+g.IntN(len(t.cols)-1)]
	cols := qualified("u", t.cols)
	value := g.value(cols, c.typ, 2)
	if g.one(3) {
		value = g.scalar(cols, c.typ)
	}
	return "UPDATE " + t.name + " u SET " + c.name + " = " + value + " WHERE u.id = " + fmt.Sprint(g.IntN(30)) + g.pick("", " AND "+g.condition(cols, 1)) +
		" RETURNING " + orderAll(cols)
}

func (g *generator) delete(t *genTable) string {
	cols := qualified("d", t.cols)
	return "DELETE FROM " + t.name + " d WHERE d.id = " + fmt.Sprint(g.IntN(30)) + " AND " + g.pick(g.condition(cols, 1), g.subCondition(cols, 0)) + " RETURNING " + orderAll(cols)
}
