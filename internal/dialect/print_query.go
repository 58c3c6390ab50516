package dialect

func (p *printer) query(q *Query) {
	if q.With != nil {
		p.with(q.With)
		p.put(" ")
	}
	p.body(q.Body)
	if len(q.OrderBy) > 0 {
		p.put(" ")
		p.orderBy(q.OrderBy)
	}
	p.clause(" LIMIT ", q.Limit)
	p.clause(" OFFSET ", q.Offset)
}

// clause prints a keyword and an expression, or nothing.
func (p *printer) clause(keyword string, x Expr) {
	if x != nil {
		p.put(keyword)
		p.any(x)
	}
}

func (p *printer) with(w *With) {
	p.put("WITH ")
	p.when(w.Recursive, "RECURSIVE ")
	each(p, w.CTEs, func(c CTE) {
		p.ident(c.Name)
		if len(c.Columns) > 0 {
			p.put(" ")
			p.idents(c.Columns)
		}
		p.put(" AS (")
		p.query(c.Query)
		p.put(")")
	})
}

func (p *printer) body(b QueryBody) {
	switch b := b.(type) {
	case *Select:
		p.selectBlock(b)
	case *Values:
		p.put("VALUES ")
		each(p, b.Rows, func(row []Expr) {
			p.put("(")
			each(p, row, p.any)
			p.put(")")
		})
	case *SetOp:
		p.setOp(b)
	case *Query:
		p.put("(")
		p.query(b)
		p.put(")")
	}
}

func (p *printer) setOp(s *SetOp) {
	p.part(s.L, setPrec(s))
	p.put(" ", s.Op, " ")
	p.when(s.All, "ALL ")
	p.part(s.R, setPrec(s)+1)
}

func setPrec(s *SetOp) int {
	if s.Op == "INTERSECT" {
		return 2
	}
	return 1
}

// part prints one side of a set operation.
func (p *printer) part(b QueryBody, least int) {
	if s, ok := b.(*SetOp); ok && setPrec(s) < least {
		p.put("(")
		p.setOp(s)
		p.put(")")
		return
	}
	p.body(b)
}

func (p *printer) selectBlock(s *Select) {
	p.put("SELECT ")
	p.when(s.Distinct, "DISTINCT ")
	if len(s.DistinctOn) > 0 {
		p.put("DISTINCT ON (")
		each(p, s.DistinctOn, p.any)
		p.put(") ")
	}
	each(p, s.Items, p.item)
	p.tables(" FROM ", s.From)
	p.clause(" WHERE ", s.Where)
	if len(s.GroupBy) > 0 {
		p.put(" GROUP BY ")
		each(p, s.GroupBy, p.any)
	}
	p.clause(" HAVING ", s.Having)
	if len(s.Windows) > 0 {
		p.put(" WINDOW ")
		each(p, s.Windows, func(w NamedWindow) {
			p.ident(w.Name)
			p.put(" AS ")
			p.window(&w.Window)
		})
	}
}

func (p *printer) item(item SelectItem) {
	switch {
	case !item.Star:
		p.any(item.X)
	case len(item.Table) > 0:
		p.name(item.Table)
		p.put(".*")
	default:
		p.put("*")
	}
	p.as(item.As, nil)
}

// tables prints a keyword and a list of tables, or nothing.
func (p *printer) tables(keyword string, list []TableExpr) {
	if len(list) > 0 {
		p.put(keyword)
		each(p, list, p.table)
	}
}

func (p *printer) table(t TableExpr) {
	switch t := t.(type) {
	case *TableRef:
		p.name(t.Name)
		p.as(t.As, t.Columns)
	case *SubqueryRef:
		p.when(t.Lateral, "LATERAL ")
		p.put("(")
		p.query(t.Query)
		p.put(")")
		p.as(t.As, t.Columns)
	case *Join:
		p.join(t)
	}
}

func (p *printer) join(j *Join) {
	p.table(j.L)
	p.put(" ")
	p.when(j.Natural, "NATURAL ")
	if j.Kind != "INNER" {
		p.put(j.Kind, " ")
	}
	p.put("JOIN ")
	if r, ok := j.R.(*Join); ok {
		p.put("(")
		p.join(r)
		p.put(")")
	} else {
		p.table(j.R)
	}
	p.clause(" ON ", j.On)
	if len(j.Using) > 0 {
		p.put(" USING ")
		p.idents(j.Using)
	}
}
