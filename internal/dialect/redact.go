package dialect

import "strings"

// Redact is a text for logs: every literal is a question mark and every
// comment a blank. It takes any bytes; where they stop being SQL, the rest is
// one question mark.
func Redact(sql string) string {
	s := scanner{sql: sql, lax: true}
	var out strings.Builder
	var before token // the one before t
	users := false   // in a statement on users, where a bare word may be a password
	hide := false    // behind PASSWORD in such a statement
	for end := 0; ; {
		t := s.next()
		writeGap(&out, sql[end:t.start])
		end = t.end
		switch {
		case t.kind == tokEOF:
			return out.String()
		case t.kind == tokBad:
			out.WriteByte('?')
			return out.String()
		case t.kind == tokString, t.kind == tokBytes, t.kind == tokNumber,
			hide && !t.is("role") && !t.is("email") && !t.is(";"),
			t.kind == tokQuoted && before.is("password"):
			out.WriteByte('?')
		default:
			out.WriteString(sql[t.start:t.end])
		}
		switch {
		case t.is("user"):
			users = users || before.is("create") || before.is("alter")
		case t.is("password"):
			hide = users
		case t.is("role"), t.is("email"):
			hide = false
		case t.is(";"):
			users, hide = false, false
		}
		before = t
	}
}

// writeGap writes what is between two tokens, a blank for comments.
func writeGap(out *strings.Builder, gap string) {
	if strings.TrimSpace(gap) != "" {
		gap = " "
	}
	out.WriteString(gap)
}
