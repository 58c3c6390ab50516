package postgres

import (
	"strconv"
	"strings"

	"github.com/kalamdb/kalam-go/internal/expr"
	"github.com/kalamdb/kalam-go/wire"
)

// renamed are the names that PostgreSQL has for functions of the dialect.
var renamed = map[string]string{
	"pow": "power", "substr": "substring",
}

// Native returns the call as PostgreSQL says it.
func (target Target) Native(c expr.Callee) string {
	switch {
	case strings.HasPrefix(c.Name, "cast_"):
		return "CAST($1 AS " + target.Type(wire.Type{Kind: c.Result}) + ")"
	case (c.Name == "like" || c.Name == "ilike" || strings.HasPrefix(c.Name, "not ")) && len(c.Args) == 3:
		return "($1 " + strings.ToUpper(c.Name) + " $2 ESCAPE $3)"
	case isOperator(c.Name):
		return operator(c)
	}
	if form, ok := special(c); ok {
		return form
	}
	name := c.Name
	if other, ok := renamed[name]; ok {
		name = other
	}
	if len(c.Args) > 0 && c.Args[0] == wire.JSON && strings.HasPrefix(name, "json_") {
		name = "jsonb_" + strings.TrimPrefix(name, "json_")
	}
	return name + "(" + list(len(c.Args)) + ")"
}

// Aggregate returns the name of an aggregate, which is the dialect's.
func (Target) Aggregate(c expr.Callee) string { return c.Name }

// isOperator reports whether a name is made of the signs of an operator.
func isOperator(name string) bool {
	return !strings.ContainsAny(name[:1], "abcdefghijklmnopqrstuvwxyz_")
}

func operator(c expr.Callee) string {
	if len(c.Args) == 1 {
		return "(" + c.Name + " $1)"
	}
	switch c.Name {
	case "#>", "#>>", "?|", "?&": // a path or a list is a text in the dialect
		return "($1 " + c.Name + " CAST($2 AS text[]))"
	}
	return "($1 " + c.Name + " $2)"
}

func list(n int) string {
	marks := make([]string, n)
	for i := range marks {
		marks[i] = "$" + strconv.Itoa(i+1)
	}
	return strings.Join(marks, ", ")
}

// special returns a call that has a form of its own.
func special(c expr.Callee) (string, bool) {
	switch c.Name {
	case "like":
		return "($1 LIKE $2)", true
	case "ilike":
		return "($1 ILIKE $2)", true
	case "lower", "upper", "initcap": // texts are COLLATE "C", which knows ASCII alone
		return "(" + c.Name + `($1 COLLATE "default") COLLATE "C")`, true
	case "extract":
		return `"extract"($1, $2)`, true
	case "position":
		return `"position"($2, $1)`, true
	case "json_step":
		return "($1 #> ARRAY[$2])", true
	case "json_unquote":
		return "($1 #>> '{}')", true
	case "json_key", "json_length", "json_object_keys":
		return "k_" + c.Name + "(" + list(len(c.Args)) + ")", true
	case "uuid_v7", "uuidv7":
		return "k_uuid_v7()", true
	case "ulid", "cosine_distance", "l2_distance", "inner_product":
		return "k_" + c.Name + "(" + list(len(c.Args)) + ")", true
	case "json_set", "jsonb_set":
		if len(c.Args) == 4 {
			return "jsonb_set($1, CAST($2 AS text[]), $3, $4)", true
		}
		return "jsonb_set($1, CAST($2 AS text[]), $3)", true
	}
	return "", false
}
