package dialect

type (
	// CreateNamespace is CREATE NAMESPACE|SCHEMA [IF NOT EXISTS] n.
	CreateNamespace struct {
		at
		Name        Ident
		IfNotExists bool
	}
	// DropNamespace is DROP NAMESPACE|SCHEMA [IF EXISTS] n [CASCADE].
	DropNamespace struct {
		at
		Name     Ident
		IfExists bool
		Cascade  bool
	}
	// CreateTable is CREATE [USER|SHARED|STREAM] TABLE ....
	CreateTable struct {
		at
		Kind        string // "USER", "SHARED", "STREAM" or "" when there is no prefix
		IfNotExists bool
		Name        Name
		Columns     []ColumnDef
		Constraints []TableConstraint
		Options     []Option
	}
	// DropTable is DROP [kind] TABLE [IF EXISTS] t.
	DropTable struct {
		at
		Kind     string
		IfExists bool
		Name     Name
		Cascade  bool
	}
)

// ColumnDef is one column of CREATE TABLE.
type ColumnDef struct {
	Name       Ident
	Type       TypeName
	NotNull    bool
	Null       bool // written as NULL
	Default    Expr
	Always     bool // GENERATED ALWAYS: no statement brings a value
	FromOne    bool // START WITH 1 INCREMENT BY 1 is written out
	Generated  bool // AUTO_INCREMENT, IDENTITY, GENERATED ... AS IDENTITY
	PrimaryKey bool
	Unique     bool
	Check      []Expr
}

// TableConstraint is PRIMARY KEY (..), UNIQUE (..) or CHECK (..).
type TableConstraint struct {
	Name    *Ident
	Kind    string // "PRIMARY KEY", "UNIQUE", "CHECK"
	Columns []Ident
	Check   Expr
	At      Pos
}

// Option is KEY = value in WITH (...). The key is upper case. Value is a
// *String, *Number, *Bool, *Null or, for a bare word, a *Column.
type Option struct {
	Key   string
	Value Expr
	At    Pos
}

// Text is a text in a statement about users: as written, or a parameter.
type Text struct {
	Value string
	Param int // $n, counted from 1; 0: Value stands
	Pos   Pos
}

type (
	// CreateUser is CREATE USER u WITH PASSWORD 'p' | OIDC '{..}' | INTERNAL [ROLE r] [EMAIL 'e'].
	// Each of the texts, the name included, may be a parameter.
	CreateUser struct {
		at
		IfNotExists bool
		Name        Text
		Auth        string // "PASSWORD", "OIDC", "INTERNAL"
		Secret      *Text  // the password, or the JSON text after OIDC
		Role        *Text  // in lower case when it is written
		Email       *Text
	}
	// AlterUser is ALTER USER u SET PASSWORD|ROLE|EMAIL 'v', or DISABLE or ENABLE.
	AlterUser struct {
		at
		Name   Text
		Action string // "PASSWORD", "ROLE", "EMAIL", "DISABLE", "ENABLE"
		Value  Text
	}
	// DropUser is DROP USER [IF EXISTS] u [CASCADE].
	DropUser struct {
		at
		Name     Text
		IfExists bool
		Cascade  bool
	}
	// ExecuteAs is EXECUTE AS [USER] 'u' ( statement ). The user may be a parameter.
	ExecuteAs struct {
		at
		User  Text
		Inner Statement
	}
	// Begin is BEGIN or START TRANSACTION; Commit and Rollback end it.
	Begin    struct{ at }
	Commit   struct{ at }
	Rollback struct{ at }
	// RollbackTo is ROLLBACK TO [SAVEPOINT] s.
	RollbackTo struct {
		at
		Name Ident
	}
	// Use is USE [NAMESPACE] n or SET NAMESPACE n.
	Use struct {
		at
		Name Ident
	}
)

type (
	// AlterTable is ALTER TABLE [IF EXISTS] t with one operation.
	AlterTable struct {
		at
		IfExists bool
		Name     Name
		Action   AlterAction
	}
	// CreateIndex is CREATE [UNIQUE] INDEX [IF NOT EXISTS] [i] ON t (cols), also
	// written ALTER TABLE t CREATE INDEX. Name.Name is empty when there is none.
	CreateIndex struct {
		at
		Unique      bool
		IfNotExists bool
		Name        Ident
		Table       Name
		Columns     []Ident
	}
	// DropIndex is DROP INDEX [IF EXISTS] [ns.]i [ON t], also written ALTER
	// TABLE t DROP INDEX. Table is empty when it is not written.
	DropIndex struct {
		at
		IfExists bool
		Name     Name
		Table    Name
	}
	// AlterNamespace is ALTER NAMESPACE n SET OPTIONS (..) or SET DESCRIPTION
	// 'x', which is the option DESCRIPTION.
	AlterNamespace struct {
		at
		Name    Ident
		Options []Option
	}
)

// AlterAction is the operation of ALTER TABLE.
type AlterAction interface {
	Node
	alterAction()
}

type (
	// AddColumn is ADD [COLUMN] [IF NOT EXISTS] c TYPE ....
	AddColumn struct {
		at
		IfNotExists bool
		Def         ColumnDef
	}
	// DropColumn is DROP [COLUMN] [IF EXISTS] c.
	DropColumn struct {
		at
		IfExists bool
		Column   Ident
	}
	// ModifyColumn is MODIFY [COLUMN] c TYPE [NULL | NOT NULL] or ALTER [COLUMN]
	// c [SET DATA] TYPE t. NotNull is nil when neither is written.
	ModifyColumn struct {
		at
		Column  Ident
		Type    TypeName
		NotNull *bool
	}
	// SetNotNull is ALTER [COLUMN] c SET NOT NULL.
	SetNotNull struct {
		at
		Column Ident
	}
	// DropNotNull is ALTER [COLUMN] c DROP NOT NULL.
	DropNotNull struct {
		at
		Column Ident
	}
	// SetDefault is ALTER [COLUMN] c SET DEFAULT x.
	SetDefault struct {
		at
		Column Ident
		Expr   Expr
	}
	// DropDefault is ALTER [COLUMN] c DROP DEFAULT.
	DropDefault struct {
		at
		Column Ident
	}
	// RenameColumn is RENAME [COLUMN] a TO b.
	RenameColumn struct {
		at
		From, To Ident
	}
	// RenameTable is RENAME TO x.
	RenameTable struct {
		at
		To Ident
	}
	// SetOptions is SET TBLPROPERTIES (..) or SET ACCESS LEVEL x, which is the
	// option ACCESS_LEVEL. There is at least one option.
	SetOptions struct {
		at
		Options []Option
	}
	// AddConstraint is ADD [CONSTRAINT c] PRIMARY KEY|UNIQUE|CHECK (..).
	AddConstraint struct {
		at
		Constraint TableConstraint
	}
	// DropConstraint is DROP CONSTRAINT [IF EXISTS] c.
	DropConstraint struct {
		at
		IfExists bool
		Name     Ident
	}
)

type (
	// Explain is EXPLAIN [ANALYZE] [VERBOSE] before a query, INSERT, UPDATE or
	// DELETE.
	Explain struct {
		at
		Analyze bool
		Verbose bool
		User    *Text // of AS USER 'u'; nil: the caller
		Inner   Statement
	}
	// Describe is DESCRIBE [TABLE] t [HISTORY]. Table says that the word TABLE is
	// written.
	Describe struct {
		at
		Table   bool
		Name    Name
		History bool
	}
	// Show is SHOW NAMESPACES, TABLES [IN ns], COLUMNS, INDEXES or CONSTRAINTS FROM
	// t, STATS FOR TABLE t, ALL, STORAGES or MANIFEST.
	Show struct {
		at
		What      string // the first word in upper case
		Name      Name   // of COLUMNS, INDEXES, CONSTRAINTS and STATS
		Namespace *Ident // of TABLES
	}
	// SetVar is SET x = v or SET x TO v. Value is a literal, a number with a
	// sign, *Default or, for a bare word, a *Column.
	SetVar struct {
		at
		Name  Name
		Value Expr
	}
	// Savepoint is SAVEPOINT s.
	Savepoint struct {
		at
		Name Ident
	}
	// Release is RELEASE [SAVEPOINT] s.
	Release struct {
		at
		Name Ident
	}
	// KillLive is KILL LIVE QUERY 'id'.
	KillLive struct {
		at
		ID string
	}
	// Storage is STORAGE FLUSH|COMPACT TABLE t, STORAGE FLUSH|COMPACT ALL [IN ns]
	// or STORAGE CHECK id [EXTENDED].
	Storage struct {
		at
		Verb      string // FLUSH, COMPACT or CHECK
		Table     Name   // nil for ALL and for CHECK
		Namespace *Ident // of ALL
		ID        *Ident // of CHECK
		Extended  bool
	}
	// CommandOnly is a statement of KalamDB 0.4 that a command of the program
	// replaces: BACKUP, RESTORE, EXPORT, and CREATE, ALTER and DROP STORAGE. Only
	// its name is kept.
	CommandOnly struct {
		at
		Verb string
	}
)

func (*CreateNamespace) statement() {}
func (*DropNamespace) statement()   {}
func (*CreateTable) statement()     {}
func (*DropTable) statement()       {}
func (*CreateUser) statement()      {}
func (*AlterUser) statement()       {}
func (*DropUser) statement()        {}
func (*ExecuteAs) statement()       {}
func (*Begin) statement()           {}
func (*Commit) statement()          {}
func (*Rollback) statement()        {}
func (*RollbackTo) statement()      {}
func (*Use) statement()             {}
func (*AlterTable) statement()      {}
func (*CreateIndex) statement()     {}
func (*DropIndex) statement()       {}
func (*AlterNamespace) statement()  {}
func (*Explain) statement()         {}
func (*Describe) statement()        {}
func (*Show) statement()            {}
func (*SetVar) statement()          {}
func (*Savepoint) statement()       {}
func (*Release) statement()         {}
func (*KillLive) statement()        {}
func (*Storage) statement()         {}
func (*CommandOnly) statement()     {}

func (*AddColumn) alterAction()      {}
func (*DropColumn) alterAction()     {}
func (*ModifyColumn) alterAction()   {}
func (*SetNotNull) alterAction()     {}
func (*DropNotNull) alterAction()    {}
func (*SetDefault) alterAction()     {}
func (*DropDefault) alterAction()    {}
func (*RenameColumn) alterAction()   {}
func (*RenameTable) alterAction()    {}
func (*SetOptions) alterAction()     {}
func (*AddConstraint) alterAction()  {}
func (*DropConstraint) alterAction() {}
