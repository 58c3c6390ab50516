package dialect

// Pos is a byte offset in the text of the request; Place turns it into line
// and column.
type Pos int

// Ident is a name. An unquoted one is already folded to lower case.
type Ident struct {
	Name   string
	Quoted bool
	Pos    Pos
}

// Name is a possibly qualified name: one, two or three parts.
type Name []Ident

// Node is any part of a tree.
type Node interface{ Pos() Pos }

// Statement is one SQL statement.
type Statement interface {
	Node
	statement()
}

// Expr is a scalar expression as written, before names and types are resolved.
type Expr interface {
	Node
	expr()
}

// at is the place of a node; every node embeds it.
type at struct{ pos Pos }

func (a at) Pos() Pos { return a.pos }

// ---- expressions

type (
	// Null is the literal NULL.
	Null struct{ at }
	// Bool is TRUE or FALSE.
	Bool struct {
		at
		Value bool
	}
	// Number is a numeric literal, as written and without a sign.
	Number struct {
		at
		Text string
	}
	// String is a text literal, unescaped.
	String struct {
		at
		Value string
	}
	// Typed is a literal with its type in front: DATE '2024-01-31'.
	Typed struct {
		at
		Type  TypeName
		Value string
	}
	// Param is $n; N counts from 1.
	Param struct {
		at
		N int
	}
	// Column is a reference to a column: c, t.c or ns.t.c.
	Column struct {
		at
		Name Name
	}
	// Unary is "-", "+" or "NOT" before an operand.
	Unary struct {
		at
		Op string
		X  Expr
	}
	// Binary is an operator between two operands. Op is the operator as
	// PostgreSQL writes it: "+", "=", "<>" (also for !=), "AND", "OR", "||", "->".
	// Pos is the operator's.
	Binary struct {
		at
		Op   string
		L, R Expr
	}
	// Is is X IS [NOT] NULL, TRUE, FALSE, UNKNOWN or DISTINCT FROM R.
	Is struct {
		at
		X    Expr
		Not  bool
		What string // "NULL", "TRUE", "FALSE", "UNKNOWN", "DISTINCT FROM"
		R    Expr   // of DISTINCT FROM
	}
	// In is X [NOT] IN (list) or X [NOT] IN (query).
	In struct {
		at
		X     Expr
		Not   bool
		List  []Expr
		Query *Query
	}
	// Between is X [NOT] BETWEEN [SYMMETRIC] Lo AND Hi.
	Between struct {
		at
		X         Expr
		Not       bool
		Symmetric bool
		Lo, Hi    Expr
	}
	// Like is X [NOT] LIKE or ILIKE Pattern [ESCAPE e].
	Like struct {
		at
		X           Expr
		Not         bool
		Insensitive bool
		Pattern     Expr
		Escape      Expr // nil: backslash
	}
	// Case is CASE [Operand] WHEN ... THEN ... [ELSE ...] END.
	Case struct {
		at
		Operand Expr
		Whens   []When
		Else    Expr
	}
	// Cast is CAST(X AS Type) or X::Type.
	Cast struct {
		at
		X    Expr
		Type TypeName
	}
	// Call is a function call. EXTRACT(f FROM x), POSITION(a IN b),
	// SUBSTRING(x FROM a FOR b) and TRIM(...) are calls with plain arguments.
	// CURRENT_USER and the like without parentheses are calls without arguments.
	Call struct {
		at
		Name     Name
		Args     []Expr
		Star     bool // count(*)
		Distinct bool
		OrderBy  []OrderItem
		Filter   Expr
		Over     *Window
		outside  bool // see IsOutside
	}
	// Quantified is X op ANY (query) or X op ALL (query).
	Quantified struct {
		at
		X     Expr
		Op    string
		All   bool
		Query *Query
	}
	// Scalar is a query in parentheses where a value is expected.
	Scalar struct {
		at
		Query *Query
	}
	// Exists is EXISTS (query).
	Exists struct {
		at
		Query *Query
	}
	// Tuple is (a, b, ...) of two or more.
	Tuple struct {
		at
		Items []Expr
	}
	// FileRef is the placeholder FILE("name") of an uploaded part.
	FileRef struct {
		at
		Name string
	}
	// Default is the word DEFAULT where INSERT or UPDATE take a value.
	Default struct{ at }
)

// When is one branch of a Case.
type When struct{ Cond, Then Expr }

// Window is what follows OVER.
type Window struct {
	Name        *Ident // OVER w
	PartitionBy []Expr
	OrderBy     []OrderItem
	Frame       string // the frame clause in canonical upper case, "" for the default
}

// TypeName is a type as written: the folded words ("double precision"), and
// the numbers in parentheses.
type TypeName struct {
	Name string
	Args []int
	Pos  Pos
}

// ---- queries

// Query is a SELECT with everything around it. Body is *Select, *SetOp or
// *Values.
type Query struct {
	at
	With    *With
	Body    QueryBody
	OrderBy []OrderItem
	Limit   Expr // nil: none
	Offset  Expr
}

// QueryBody is *Select, *SetOp, *Values or *Query (in parentheses).
type QueryBody interface {
	Node
	queryBody()
}

// Select is one SELECT ... FROM ... block.
type Select struct {
	at
	Distinct   bool
	DistinctOn []Expr
	Items      []SelectItem
	From       []TableExpr
	Where      Expr
	GroupBy    []Expr
	Having     Expr
	Windows    []NamedWindow
}

// NamedWindow is an entry of the WINDOW clause.
type NamedWindow struct {
	Name   Ident
	Window Window
}

// SetOp is L UNION|INTERSECT|EXCEPT [ALL] R.
type SetOp struct {
	at
	Op   string // "UNION", "INTERSECT", "EXCEPT"
	All  bool
	L, R QueryBody
}

// Values is VALUES (..), (..).
type Values struct {
	at
	Rows [][]Expr
}

// SelectItem is one item of a select list. Star is * or t.*; then X is nil and
// Table says which.
type SelectItem struct {
	Star  bool
	Table Name
	X     Expr
	As    *Ident
	At    Pos
}

// OrderItem is one item of ORDER BY. NullsFirst is nil when it is not written.
type OrderItem struct {
	X          Expr
	Desc       bool
	NullsFirst *bool
}

// With is a WITH clause.
type With struct {
	at
	Recursive bool
	CTEs      []CTE
}

// CTE is one entry of a WITH clause.
type CTE struct {
	Name    Ident
	Columns []Ident
	Query   *Query
}

// TableExpr is *TableRef, *Join or *SubqueryRef.
type TableExpr interface {
	Node
	tableExpr()
}

type (
	// TableRef names a table: [ns.]t [AS alias].
	TableRef struct {
		at
		Name    Name
		As      *Ident
		Columns []Ident
	}
	// Join is L kind JOIN R [ON cond | USING (cols)].
	Join struct {
		at
		Kind    string // "INNER", "LEFT", "RIGHT", "FULL", "CROSS"
		Natural bool
		L, R    TableExpr
		On      Expr
		Using   []Ident
	}
	// SubqueryRef is (query) AS alias.
	SubqueryRef struct {
		at
		Lateral bool
		Query   *Query
		As      *Ident
		Columns []Ident
	}
)

// ---- statements on rows

type (
	// Insert is INSERT INTO t [(cols)] VALUES ... | query | DEFAULT VALUES.
	Insert struct {
		at
		With       *With
		Table      Name
		As         *Ident
		Columns    []Ident
		Query      *Query // *Values as body for plain VALUES; nil: DEFAULT VALUES
		OnConflict *OnConflict
		Returning  []SelectItem
	}
	// OnConflict is ON CONFLICT [(cols)] DO NOTHING | DO UPDATE SET ... [WHERE ...].
	OnConflict struct {
		at
		Columns []Ident
		Nothing bool
		Set     []Assignment
		Where   Expr
	}
	// Assignment is col = value in SET.
	Assignment struct {
		Column Ident
		Value  Expr
	}
	// Update is UPDATE t SET ... [FROM ...] [WHERE ...] [RETURNING ...].
	Update struct {
		at
		With      *With
		Table     Name
		As        *Ident
		Set       []Assignment
		From      []TableExpr
		Where     Expr
		Returning []SelectItem
	}
	// Delete is DELETE FROM t [USING ...] [WHERE ...] [RETURNING ...].
	Delete struct {
		at
		With      *With
		Table     Name
		As        *Ident
		Using     []TableExpr
		Where     Expr
		Returning []SelectItem
	}
)

func (*Query) statement()  {}
func (*Insert) statement() {}
func (*Update) statement() {}
func (*Delete) statement() {}

func (*Null) expr()       {}
func (*Bool) expr()       {}
func (*Number) expr()     {}
func (*String) expr()     {}
func (*Typed) expr()      {}
func (*Param) expr()      {}
func (*Column) expr()     {}
func (*Unary) expr()      {}
func (*Binary) expr()     {}
func (*Is) expr()         {}
func (*In) expr()         {}
func (*Between) expr()    {}
func (*Like) expr()       {}
func (*Case) expr()       {}
func (*Cast) expr()       {}
func (*Call) expr()       {}
func (*Scalar) expr()     {}
func (*Quantified) expr() {}
func (*Exists) expr()     {}
func (*Tuple) expr()      {}
func (*FileRef) expr()    {}
func (*Default) expr()    {}

func (*Select) queryBody() {}
func (*SetOp) queryBody()  {}
func (*Values) queryBody() {}
func (*Query) queryBody()  {}

func (*TableRef) tableExpr()    {}
func (*Join) tableExpr()        {}
func (*SubqueryRef) tableExpr() {}
