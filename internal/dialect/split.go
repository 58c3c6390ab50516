package dialect

import "strings"

// Part is a piece of a script that is sent to the server as one request: a
// statement, or a whole transaction from BEGIN to its end. Start and End are
// offsets in the script.
type Part struct{ Start, End int }

// Split cuts a script into its parts, without the blanks, comments and
// semicolons between them. It takes any bytes; what is not SQL belongs to the
// part that it is found in. Open reports that the last part waits for more: for
// its semicolon, the end of a quoted text or comment, or the COMMIT or ROLLBACK
// of its transaction.
func Split(script string) (parts []Part, open bool) {
	s := scanner{sql: script, lax: true}
	start, end := -1, 0 // of the part that is being read; start is -1 between two
	first := false      // t is the first word of a statement
	inside := false     // a transaction
	closing := false    // the statement ends the transaction
	for {
		t := s.next()
		if t.kind == tokEOF || t.kind == tokBad {
			open = start >= 0 || unclosed(script[end:])
			if t.kind == tokBad {
				if start < 0 {
					start = t.start
				}
				end = len(strings.TrimRight(script, "; \t\r\n"))
				open = openQuote(script[t.start:])
			}
			if start >= 0 {
				parts = append(parts, Part{start, max(end, start)})
			}
			return parts, open
		}
		if t.is(";") {
			end = t.end
			inside = inside && !closing
			if start >= 0 && !inside {
				parts = append(parts, Part{start, t.start})
				start = -1
			}
			first, closing = true, false
			continue
		}
		if start < 0 {
			start, first = t.start, true
		}
		if t.is("to") {
			closing = false // ROLLBACK TO a savepoint
		}
		if first && t.kind == tokWord {
			switch t.word {
			case "begin", "start":
				inside = true
			case "commit", "rollback", "end":
				closing = true
			}
		}
		first, end = false, t.end
	}
}

// openQuote reports whether a text that the scanner could not read is one that
// only lacks its closing quote.
func openQuote(bad string) bool {
	if len(bad) > 1 && bad[1] == '\'' && strings.IndexByte("eExX", bad[0]) >= 0 {
		return true
	}
	return strings.IndexByte("'\"`$", bad[0]) >= 0
}

// unclosed reports whether a gap between statements ends inside a comment.
func unclosed(gap string) bool {
	return strings.LastIndex(gap, "/*") > strings.LastIndex(gap, "*/")
}
