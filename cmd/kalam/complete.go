package main

import (
	"context"
	"slices"
	"strings"
	"time"
	"unicode"

	"github.com/reeflective/readline"
)

// schema is what completion knows of the tables that the user may describe. It
// is read when it is first needed and forgotten after each statement.
type schema struct {
	rows    func(ctx context.Context, sql string) [][]string // nil when it fails
	tables  []string                                         // namespace.table, sorted
	columns map[string][]string                              // by the table as it is written
}

// lookupTime is how long completion may wait for the server.
const lookupTime = 2 * time.Second

func (s *schema) forget() { s.tables, s.columns = nil, nil }

func (s *schema) allTables() []string {
	if s.tables == nil {
		ctx, cancel := context.WithTimeout(context.Background(), lookupTime)
		defer cancel()
		s.tables = []string{}
		for _, row := range s.rows(ctx, "SHOW TABLES") {
			if len(row) > 1 {
				s.tables = append(s.tables, row[0]+"."+row[1])
			}
		}
		slices.Sort(s.tables)
	}
	return s.tables
}

func (s *schema) columnsOf(table string) []string {
	list, ok := s.columns[table]
	if !ok {
		ctx, cancel := context.WithTimeout(context.Background(), lookupTime)
		defer cancel()
		for _, row := range s.rows(ctx, "DESCRIBE TABLE "+table) {
			list = append(list, row[0])
		}
		if s.columns == nil {
			s.columns = make(map[string][]string)
		}
		s.columns[table] = list
	}
	return list
}

// keywords are offered in the case that was begun.
var keywords = strings.Fields(`ALTER AND AS ASC BEGIN BETWEEN BY CASE COLUMN COMMIT CREATE CROSS DEFAULT DELETE DESC DESCRIBE DISTINCT DROP ELSE
	END EXCEPT EXISTS EXPLAIN FROM FULL GROUP HAVING ILIKE IN INDEX INNER INSERT INTERSECT INTO IS JOIN KEY LEFT LIKE LIMIT NAMESPACE NOT NULL
	OFFSET ON OR ORDER PRIMARY RETURNING RIGHT ROLLBACK SELECT SET SHARED SHOW STREAM TABLE TABLES THEN UNION UNIQUE UPDATE USER USING VALUES WHEN WHERE WITH`)

// takesTable are the words that a table follows.
var takesTable = map[string]bool{"from": true, "join": true, "into": true, "update": true, "table": true, "describe": true, "desc": true, `\d`: true, "using": true}

// complete offers what may follow the text before the cursor.
func (s *schema) complete(line []rune, cursor int) readline.Completions {
	word, values := s.candidates(string(line[:cursor]), string(line))
	c := readline.CompleteValues(values...)
	c.PREFIX = word
	return c
}

// candidates are the words that may stand in place of the one begun at the end
// of before.
func (s *schema) candidates(before, whole string) (word string, values []string) {
	words := tokens(before)
	if len(words) > 0 && !strings.HasSuffix(before, " ") && !strings.HasSuffix(before, "\n") {
		word, words = words[len(words)-1], words[:len(words)-1]
	}
	if !isName(word) && word != "" && !strings.HasPrefix(word, `\`) {
		return "", nil
	}
	offer := func(list ...string) {
		for _, v := range list {
			if len(v) >= len(word) && strings.EqualFold(v[:len(word)], word) && !slices.Contains(values, v) {
				values = append(values, v)
			}
		}
	}
	last := ""
	if len(words) > 0 {
		last = strings.ToLower(words[len(words)-1])
	}
	switch {
	case strings.HasPrefix(word, `\`):
		offer(commandNames()...)
		return word, values
	case takesTable[last]:
		offer(s.allTables()...)
		return word, values
	}
	named := s.named(tokens(whole))
	if qualifier, _, ok := cutLast(word, "."); ok {
		if table := named[strings.ToLower(qualifier)]; table != "" {
			for _, c := range s.columnsOf(table) {
				offer(qualifier + "." + c)
			}
		}
		offer(s.allTables()...)
		return word, values
	}
	var aliases []string
	for alias, table := range named {
		if !strings.Contains(alias, ".") {
			aliases = append(aliases, alias)
		}
		if word != "" || last != "" {
			offer(s.columnsOf(table)...)
		}
	}
	slices.Sort(values)
	slices.Sort(aliases)
	offer(aliases...)
	if word != "" {
		for _, k := range keywords {
			if word == strings.ToLower(word) {
				k = strings.ToLower(k)
			}
			offer(k)
		}
	}
	return word, values
}

// named are the tables of a statement by the names that it may use for them:
// table, namespace.table and alias.
func (s *schema) named(words []string) map[string]string {
	out := make(map[string]string)
	for i := 1; i < len(words); i++ {
		if !takesTable[strings.ToLower(words[i-1])] || !isName(words[i]) {
			continue
		}
		table := strings.ToLower(words[i])
		if !slices.ContainsFunc(s.allTables(), func(t string) bool { return t == table || strings.HasSuffix(t, "."+table) }) {
			continue
		}
		out[table] = table
		if _, name, ok := cutLast(table, "."); ok {
			out[name] = table
		}
		rest := words[i+1:]
		if len(rest) > 0 && strings.EqualFold(rest[0], "as") {
			rest = rest[1:]
		}
		if len(rest) > 0 && isName(rest[0]) && !slices.Contains(keywords, strings.ToUpper(rest[0])) {
			out[strings.ToLower(rest[0])] = table
		}
	}
	return out
}

// tokens splits a text into names with their dots, and single other characters.
func tokens(text string) []string {
	var out []string
	begun := false
	for _, r := range text {
		part := unicode.IsLetter(r) || unicode.IsDigit(r) || r == '_' || r == '.' || r == '\\'
		switch {
		case part && begun:
			out[len(out)-1] += string(r)
		case !unicode.IsSpace(r):
			out = append(out, string(r))
		}
		begun = part
	}
	return out
}

func isName(word string) bool {
	return word != "" && (unicode.IsLetter([]rune(word)[0]) || word[0] == '_')
}

func cutLast(s, sep string) (before, after string, found bool) {
	i := strings.LastIndex(s, sep)
	if i < 0 {
		return s, "", false
	}
	return s[:i], s[i+len(sep):], true
}
