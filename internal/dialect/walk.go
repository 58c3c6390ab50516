package dialect

// Walk visits a tree depth first, each node before its parts. When fn returns
// false, the parts of that node are left out.
func Walk(n Node, fn func(Node) bool) {
	if n != nil {
		walk(n, fn)
	}
}

func walk(n Node, fn func(Node) bool) {
	if !fn(n) {
		return
	}
	switch n := n.(type) {
	case walked:
		n.walk(fn)
	case Expr:
		walkExpr(n, fn)
	case *Query:
		walkWith(n.With, fn)
		Walk(n.Body, fn)
		walkOrder(n.OrderBy, fn)
		Walk(n.Limit, fn)
		Walk(n.Offset, fn)
	case *Select:
		walkSelect(n, fn)
	case *SetOp:
		Walk(n.L, fn)
		Walk(n.R, fn)
	case *Values:
		for _, row := range n.Rows {
			walkExprs(row, fn)
		}
	case *With:
		for _, c := range n.CTEs {
			walkQuery(c.Query, fn)
		}
	case *Join:
		Walk(n.L, fn)
		Walk(n.R, fn)
		Walk(n.On, fn)
	case *SubqueryRef:
		walkQuery(n.Query, fn)
	case *Insert:
		walkWith(n.With, fn)
		walkQuery(n.Query, fn)
		if n.OnConflict != nil {
			walk(n.OnConflict, fn)
		}
		walkItems(n.Returning, fn)
	case *OnConflict:
		walkSet(n.Set, fn)
		Walk(n.Where, fn)
	case *Update:
		walkWith(n.With, fn)
		walkSet(n.Set, fn)
		walkTables(n.From, fn)
		Walk(n.Where, fn)
		walkItems(n.Returning, fn)
	case *Delete:
		walkWith(n.With, fn)
		walkTables(n.Using, fn)
		Walk(n.Where, fn)
		walkItems(n.Returning, fn)
	case *CreateTable:
		walkTable(n, fn)
	case *ExecuteAs:
		Walk(n.Inner, fn)
	case *AlterTable:
		Walk(n.Action, fn)
	case *AddColumn:
		walkColumn(n.Def, fn)
	case *SetDefault:
		Walk(n.Expr, fn)
	case *SetOptions:
		walkOptions(n.Options, fn)
	case *AddConstraint:
		Walk(n.Constraint.Check, fn)
	case *AlterNamespace:
		walkOptions(n.Options, fn)
	case *Explain:
		Walk(n.Inner, fn)
	case *SetVar:
		Walk(n.Value, fn)
	case *CreateTopic:
		walkOptions(n.Options, fn)
	case *AlterTopic:
		Walk(n.Action, fn)
	case *AddSource:
		Walk(n.Where, fn)
		walkOptions(n.Options, fn)
	case *SetRetention:
		walkOptions(n.Options, fn)
	}
}

func walkExpr(x Expr, fn func(Node) bool) {
	switch x := x.(type) {
	case *Unary:
		Walk(x.X, fn)
	case *Binary:
		Walk(x.L, fn)
		Walk(x.R, fn)
	case *Is:
		Walk(x.X, fn)
		Walk(x.R, fn)
	case *In:
		Walk(x.X, fn)
		walkExprs(x.List, fn)
		walkQuery(x.Query, fn)
	case *Between:
		Walk(x.X, fn)
		Walk(x.Lo, fn)
		Walk(x.Hi, fn)
	case *Like:
		Walk(x.X, fn)
		Walk(x.Pattern, fn)
		Walk(x.Escape, fn)
	case *Case:
		Walk(x.Operand, fn)
		for _, w := range x.Whens {
			Walk(w.Cond, fn)
			Walk(w.Then, fn)
		}
		Walk(x.Else, fn)
	case *Cast:
		Walk(x.X, fn)
	case *Call:
		walkExprs(x.Args, fn)
		walkOrder(x.OrderBy, fn)
		Walk(x.Filter, fn)
		if x.Over != nil {
			walkWindow(x.Over, fn)
		}
	case *Scalar:
		walkQuery(x.Query, fn)
	case *Quantified:
		Walk(x.X, fn)
		walkQuery(x.Query, fn)
	case *Exists:
		walkQuery(x.Query, fn)
	case *Tuple:
		walkExprs(x.Items, fn)
	}
}

func walkSelect(s *Select, fn func(Node) bool) {
	walkExprs(s.DistinctOn, fn)
	walkItems(s.Items, fn)
	walkTables(s.From, fn)
	Walk(s.Where, fn)
	walkExprs(s.GroupBy, fn)
	Walk(s.Having, fn)
	for i := range s.Windows {
		walkWindow(&s.Windows[i].Window, fn)
	}
}

func walkTable(t *CreateTable, fn func(Node) bool) {
	for _, c := range t.Columns {
		walkColumn(c, fn)
	}
	for _, c := range t.Constraints {
		Walk(c.Check, fn)
	}
	walkOptions(t.Options, fn)
}

func walkColumn(c ColumnDef, fn func(Node) bool) {
	Walk(c.Default, fn)
	walkExprs(c.Check, fn)
}

func walkOptions(list []Option, fn func(Node) bool) {
	for _, o := range list {
		Walk(o.Value, fn)
	}
}

func walkWindow(w *Window, fn func(Node) bool) {
	walkExprs(w.PartitionBy, fn)
	walkOrder(w.OrderBy, fn)
}

// walkQuery and walkWith exist because a nil pointer in a Node is not nil.
func walkQuery(q *Query, fn func(Node) bool) {
	if q != nil {
		walk(q, fn)
	}
}

func walkWith(w *With, fn func(Node) bool) {
	if w != nil {
		walk(w, fn)
	}
}

func walkExprs(list []Expr, fn func(Node) bool) {
	for _, x := range list {
		Walk(x, fn)
	}
}

func walkItems(list []SelectItem, fn func(Node) bool) {
	for _, item := range list {
		Walk(item.X, fn)
	}
}

func walkOrder(list []OrderItem, fn func(Node) bool) {
	for _, item := range list {
		Walk(item.X, fn)
	}
}

func walkSet(list []Assignment, fn func(Node) bool) {
	for _, a := range list {
		Walk(a.Value, fn)
	}
}

func walkTables(list []TableExpr, fn func(Node) bool) {
	for _, t := range list {
		Walk(t, fn)
	}
}
