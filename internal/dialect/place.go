package dialect

import (
	"strings"
	"unicode/utf8"
)

// Place is the line and the column of a position, both from 1; the column
// counts characters. A position outside the text is moved to its border.
func Place(sql string, p Pos) (line, column int) {
	before := sql[:min(max(int(p), 0), len(sql))]
	line = 1 + strings.Count(before, "\n")
	before = before[strings.LastIndexByte(before, '\n')+1:]
	return line, 1 + utf8.RuneCountInString(before)
}

func newError(sql string, pos Pos, message string) *Error {
	e := &Error{Pos: pos, Message: message}
	e.Line, e.Column = Place(sql, pos)
	return e
}

// longestQuote bounds what an error quotes of the text, in characters.
const longestQuote = 40

// clip cuts a token for an error.
func clip(text string) string {
	n := 0
	for i := range text {
		if n == longestQuote {
			return text[:i] + "..."
		}
		n++
	}
	return text
}

// checkText refuses what no statement may hold: NUL and invalid UTF-8.
func checkText(sql string) *Error {
	if i := strings.IndexByte(sql, 0); i >= 0 {
		return newError(sql, Pos(i), "the text holds a NUL byte")
	}
	if utf8.ValidString(sql) {
		return nil
	}
	for i, r := range sql {
		if r != utf8.RuneError {
			continue
		}
		if _, size := utf8.DecodeRuneInString(sql[i:]); size == 1 {
			return newError(sql, Pos(i), "the text is not valid UTF-8")
		}
	}
	return newError(sql, 0, "the text is not valid UTF-8")
}
