package sqlite

import (
	"strings"

	zs "zombiezen.com/go/sqlite"

	"github.com/kalamdb/kalam-go/wire"
)

// limits are what the engine says of a statement that exceeds one of its limits,
// and what the caller is told.
var limits = []struct{ engine, message string }{
	{"too many terms in compound SELECT", "a query joins at most 500 others with UNION, INTERSECT or EXCEPT; insert the rows into a table, or use VALUES or IN"},
	{"too many SQL variables", tooManyValues},
	{"variable number must be between", tooManyValues},
	{"tables in a join", "a query joins at most 64 tables"},
	{"too many FROM clause terms", "a FROM clause has at most 200 tables and sub-queries"},
	{"too many references to", "a statement names one table or WITH query at most 65,535 times"},
	{"nested too deep", "sub-queries and WITH queries nest too deeply, or expand to too many when they name each other"},
	{"Expression tree is too large", "expressions nest more deeply than 1,000 operators and functions; split the statement, or write a long chain as IN or a CASE with several branches"},
	{"Recursion limit", "expressions nest too deeply; split the statement"},
	{"parser stack overflow", "the statement nests more deeply than the server can parse; split it into several"},
	{"too many columns in result set", "a query has at most 2,000 columns"},
	{"too many columns", "a table or index has too many columns"},
	{"BY clause", "ORDER BY and GROUP BY have at most 2,000 terms"},
	{"ORDER BY clause", "ORDER BY and GROUP BY have at most 2,000 terms"},
	{"too many arguments on function", "a function takes at most 1,000 arguments"},
	{"too many attached", "a statement needs too many temporary databases"},
	{"pattern too complex", "the pattern of LIKE is longer than 50,000 bytes"},
}

const tooManyValues = "a statement has at most 32,766 different values besides whole numbers; send fewer at once, or put them into a table"

// limitError gives an error of preparing a statement that exceeds a limit of the
// engine its code.
func limitError(err error) error {
	switch zs.ErrCode(err).ToPrimary() {
	case zs.ResultError, zs.ResultRange:
	case zs.ResultTooBig:
		return wire.NewError(wire.CodeStatementTooLarge, "the statement is too large for the server; split it into several")
	default:
		return err
	}
	text := err.Error()
	for _, l := range limits {
		if strings.Contains(text, l.engine) {
			return wire.NewError(wire.CodeStatementTooLarge, l.message)
		}
	}
	return err
}
