// Package dialect is the SQL front end: a scanner, a recursive-descent parser,
// the tree it makes, a walker and a printer.
//
// Text goes in, a tree comes out, or an *Error that says where the text went
// wrong, what was expected and what was found. Names are not resolved and
// nothing has a type here; that is the work of packages bind and expr. The
// package imports nothing of ours.
package dialect

// Error is a text that is not of the dialect.
type Error struct {
	Pos          Pos
	Line, Column int    // 1-based; the column counts characters
	Message      string // what was expected and what was found
	Unsupported  bool   // a statement or clause that is known and not offered
}

func (e *Error) Error() string { return e.Message }

// Source is a parsed request: its statements in order, each with its own text.
type Source struct {
	Statements []Statement
	Texts      []string // the text of each statement, trimmed, without the semicolon
}
