package dialect

import (
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// longestName bounds the names of namespaces, tables, columns and the like.
const longestName = 64

// ReservedNamespace reports a name that no namespace of a user may have, in
// any case.
func ReservedNamespace(name string) bool {
	switch strings.ToLower(name) {
	case "system", "sys", "root", "kalamdb", "kalam", "main", "default", "sql", "admin", "internal",
		"information_schema", "pg_catalog", "datafusion":
		return true
	}
	return false
}

// ReservedColumn reports a name that no column of a user may have, in any
// case.
func ReservedColumn(name string) bool {
	switch strings.ToLower(name) {
	case "_seq", "_deleted", "_id", "_row_id", "_rowid", "_key", "_updated", "_created", "_timestamp", "_version", "_hash":
		return true
	}
	return false
}

// CheckName refuses a name that nothing can be created under. The error is an
// *Error with the position of the name and without line and column.
func CheckName(id Ident) error {
	fail := func(parts ...string) error {
		return &Error{Pos: id.Pos, Message: `the name "` + clip(id.Name) + `" ` + strings.Join(parts, "")}
	}
	switch {
	case id.Name == "":
		return &Error{Pos: id.Pos, Message: "a name cannot be empty"}
	case !utf8.ValidString(id.Name):
		return fail("is not valid UTF-8")
	case utf8.RuneCountInString(id.Name) > longestName:
		return fail("is longer than ", strconv.Itoa(longestName), " characters")
	case id.Quoted:
		if strings.IndexFunc(id.Name, unicode.IsControl) >= 0 {
			return &Error{Pos: id.Pos, Message: "a name cannot hold control characters"}
		}
		return nil
	case id.Name[0] == '_':
		return fail("begins with an underscore; a name begins with a letter")
	case isDigit(id.Name[0]):
		return fail("begins with a digit; a name begins with a letter")
	}
	for i := range len(id.Name) {
		if c := id.Name[i]; !isLetter(c) && !isDigit(c) {
			return fail("holds characters other than letters, digits and underscores; it must be quoted")
		}
	}
	return nil
}

// isName tells whether the current token can be a name.
func (p *parser) isName() bool { return p.tok.isName() }

func (t *token) isName() bool {
	return t.kind == tokQuoted || t.kind == tokWord && t.class == plain
}

// ident takes a name; expected says of what.
func (p *parser) ident(expected string) Ident {
	if !p.isName() {
		if p.tok.kind == tokWord {
			p.failAt(p.pos(), "expected ", expected, ", found ", p.foundKeyword())
		}
		p.unexpected(expected)
	}
	return p.takeIdent()
}

func (p *parser) foundKeyword() string {
	text := p.scan.sql[p.tok.start:p.tok.end]
	return "the keyword " + strings.ToUpper(text) + ` (as a name it must be quoted: "` + p.tok.word + `")`
}

// takeIdent makes a name of the current token, which is a word or quoted.
func (p *parser) takeIdent() Ident {
	t := p.advance()
	return Ident{Name: p.identValue(t), Quoted: t.kind == tokQuoted || t.class != plain, Pos: Pos(t.start)}
}

// label takes a name where every word may stand: behind AS or a dot. A keyword
// counts as quoted.
func (p *parser) label(expected string) Ident {
	if p.tok.kind != tokWord && p.tok.kind != tokQuoted {
		p.unexpected(expected)
	}
	return p.takeIdent()
}

// namespace takes the name of a namespace. The one that is called default
// needs no quotes where nothing else can be meant.
func (p *parser) namespace() Ident {
	if p.is("default") {
		return p.takeIdent()
	}
	return p.ident("the name of a namespace")
}

// namespaceAfterWord takes [NAMESPACE] n, where n itself may be that word.
func (p *parser) namespaceAfterWord() Ident {
	if next := p.peek(1); p.is("namespace") && (next.isName() || next.is("default")) {
		p.advance()
	}
	return p.namespace()
}

// name takes a possibly qualified name.
func (p *parser) name(expected string) Name {
	var first Ident
	if p.is("default") && p.peek(1).is(".") {
		first = p.namespace()
	} else {
		first = p.ident(expected)
	}
	if !p.is(".") {
		return Name{first}
	}
	n := append(make(Name, 0, 2), first)
	for p.is(".") {
		if len(n) == 3 {
			p.failAt(p.pos(), "a name has three parts at most")
		}
		p.advance()
		n = append(n, p.label("a name after the dot"))
	}
	return n
}

// idents takes (a, b, ...).
func (p *parser) idents(expected string) []Ident {
	p.expect("(")
	list := []Ident{p.ident(expected)}
	for p.more() {
		list = append(list, p.ident(expected))
	}
	p.closeList()
	return list
}
