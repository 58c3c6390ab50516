package dialect

import "strconv"

func (p *printer) int(n int) { p.out = strconv.AppendInt(p.out, int64(n), 10) }

// precOfExpr is how tightly an expression holds together.
func precOfExpr(x Expr) int {
	switch x := x.(type) {
	case *Binary:
		return precOf(x.Op)
	case *Quantified:
		return precOf(x.Op)
	case *Unary:
		switch x.Op {
		case "NOT":
			return precNot
		case "~":
			return precOther
		}
		return precSign
	case *Is:
		return precIs
	case *In, *Between, *Like:
		return precRange
	}
	return precTop
}

// expr prints an expression, in parentheses if it holds together less tightly
// than least.
func (p *printer) expr(x Expr, least int) {
	if precOfExpr(x) < least {
		p.put("(")
		p.bareExpr(x)
		p.put(")")
		return
	}
	p.bareExpr(x)
}

// any prints an expression where every one may stand.
func (p *printer) any(x Expr) { p.expr(x, precNone) }

func (p *printer) bareExpr(x Expr) {
	switch x := x.(type) {
	case *Null:
		p.put("NULL")
	case *Bool:
		p.when(x.Value, "TRUE")
		p.when(!x.Value, "FALSE")
	case *Number:
		p.put(x.Text)
	case *String:
		p.string(x.Value)
	case *Typed:
		p.typeName(x.Type)
		p.put(" ")
		p.string(x.Value)
	case *Param:
		p.put("$")
		p.int(x.N)
	case *Column:
		p.name(x.Name)
	case *Default:
		p.put("DEFAULT")
	case *FileRef:
		p.put("FILE(")
		p.string(x.Name)
		p.put(")")
	case *Tuple:
		p.put("(")
		each(p, x.Items, p.any)
		p.put(")")
	case *Scalar:
		p.put("(")
		p.query(x.Query)
		p.put(")")
	case *Exists:
		p.put("EXISTS (")
		p.query(x.Query)
		p.put(")")
	case *Cast:
		p.put("CAST(")
		p.any(x.X)
		p.put(" AS ")
		p.typeName(x.Type)
		p.put(")")
	case *Case:
		p.caseExpr(x)
	case *Call:
		p.call(x)
	default:
		p.operator(x)
	}
}

// operator prints what has a precedence.
func (p *printer) operator(x Expr) {
	switch x := x.(type) {
	case *Unary:
		p.unary(x)
	case *Binary:
		prec := precOf(x.Op)
		left := prec
		if prec == precCompare {
			left++ // does not chain
		}
		p.expr(x.L, left)
		p.put(" ", x.Op, " ")
		p.expr(x.R, prec+1)
	case *Quantified:
		p.expr(x.X, precOf(x.Op)+1)
		p.put(" ", x.Op, " ")
		p.when(x.All, "ALL (")
		p.when(!x.All, "ANY (")
		p.query(x.Query)
		p.put(")")
	case *Is:
		p.expr(x.X, precIs+1)
		p.put(" IS ")
		p.when(x.Not, "NOT ")
		p.put(x.What)
		if x.R != nil {
			p.put(" ")
			p.expr(x.R, precIs+1)
		}
	case *In:
		p.ranged(x.X, x.Not, "IN (")
		if x.Query != nil {
			p.query(x.Query)
		} else {
			each(p, x.List, p.any)
		}
		p.put(")")
	case *Between:
		p.ranged(x.X, x.Not, "BETWEEN ")
		p.when(x.Symmetric, "SYMMETRIC ")
		p.expr(x.Lo, precRange+1)
		p.put(" AND ")
		p.expr(x.Hi, precRange+1)
	case *Like:
		op := "LIKE "
		if x.Insensitive {
			op = "ILIKE "
		}
		p.ranged(x.X, x.Not, op)
		p.expr(x.Pattern, precRange+1)
		if x.Escape != nil {
			p.put(" ESCAPE ")
			p.expr(x.Escape, precRange+1)
		}
	}
}

func (p *printer) ranged(x Expr, not bool, op string) {
	p.expr(x, precRange+1)
	p.put(" ")
	p.when(not, "NOT ")
	p.put(op)
}

func (p *printer) unary(x *Unary) {
	p.put(x.Op)
	least := precSign
	switch x.Op {
	case "NOT":
		p.put(" ")
		least = precNot
	case "~":
		least = precOther + 1
	}
	if _, ok := x.X.(*Unary); ok && x.Op != "NOT" {
		p.put(" ") // two signs in a row would begin a comment
	}
	p.expr(x.X, least)
}

func (p *printer) caseExpr(c *Case) {
	p.put("CASE")
	if c.Operand != nil {
		p.put(" ")
		p.any(c.Operand)
	}
	for _, w := range c.Whens {
		p.put(" WHEN ")
		p.any(w.Cond)
		p.put(" THEN ")
		p.any(w.Then)
	}
	if c.Else != nil {
		p.put(" ELSE ")
		p.any(c.Else)
	}
	p.put(" END")
}

func (p *printer) call(c *Call) {
	least := precNone
	if first := c.Name[0]; len(c.Name) > 1 || first.Quoted {
		p.name(c.Name)
	} else {
		p.put(first.Name)
		if len(c.Args) == 0 && isNiladic(first.Name) {
			return
		}
		if first.Name == "position" {
			least = precRange + 1 // its own grammar stops at IN
		}
	}
	p.put("(")
	p.when(c.Star, "*")
	p.when(c.Distinct, "DISTINCT ")
	each(p, c.Args, func(x Expr) { p.expr(x, least) })
	if len(c.OrderBy) > 0 {
		p.put(" ")
		p.orderBy(c.OrderBy)
	}
	p.put(")")
	if c.Filter != nil {
		p.put(" FILTER (WHERE ")
		p.any(c.Filter)
		p.put(")")
	}
	if c.Over != nil {
		p.put(" OVER ")
		p.over(c.Over)
	}
}

func (p *printer) over(w *Window) {
	if w.Name != nil {
		p.ident(*w.Name)
		return
	}
	p.window(w)
}

// window prints the definition of a window.
func (p *printer) window(w *Window) {
	p.put("(")
	sep := ""
	if len(w.PartitionBy) > 0 {
		p.put("PARTITION BY ")
		each(p, w.PartitionBy, p.any)
		sep = " "
	}
	if len(w.OrderBy) > 0 {
		p.put(sep)
		p.orderBy(w.OrderBy)
		sep = " "
	}
	if w.Frame != "" {
		p.put(sep, w.Frame)
	}
	p.put(")")
}

func (p *printer) orderBy(list []OrderItem) {
	p.put("ORDER BY ")
	each(p, list, func(o OrderItem) {
		p.any(o.X)
		p.when(o.Desc, " DESC")
		if o.NullsFirst != nil {
			p.when(*o.NullsFirst, " NULLS FIRST")
			p.when(!*o.NullsFirst, " NULLS LAST")
		}
	})
}
