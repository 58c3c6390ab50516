package dialect

// class says where a keyword may be used as a bare name.
type class uint8

const (
	plain    class = iota // anywhere
	callable              // only as the name of a function: left, right
	reserved              // nowhere
)

// word is a keyword in its folded spelling; the scanner hands this spelling
// out, so that an upper-case keyword costs no allocation.
type word struct {
	text  string
	class class
}

// longestWord bounds the words that are looked up.
const longestWord = 24

// words is what the scanner knows: PostgreSQL's reserved words and, to spare
// allocations only, the words that this grammar uses.
var words = listWords()

func listWords() map[string]word {
	m := make(map[string]word, 512)
	add := func(c class, list ...string) {
		for _, w := range list {
			m[w] = word{w, c}
		}
	}
	add(plain, "abs", "ack", "action", "add", "alter", "always", "at", "auto_increment", "avg", "backup", "begin",
		"between", "bigint", "bigserial", "boolean", "bool", "by", "bytea", "bytes", "cascade", "char", "character",
		"clear", "cluster", "coalesce", "comment", "commit", "conflict", "consume", "copy", "count", "cube", "current",
		"date", "datetime", "day", "decimal", "delete", "describe", "disable", "double", "drop", "email", "embedding",
		"enable", "escape", "excluded", "exclude", "execute", "exists", "explain", "export", "extract", "file", "filter",
		"first", "float", "following", "function", "generated", "groups", "hour", "id", "identity", "if", "index",
		"insert", "int", "integer", "internal", "interval", "json", "jsonb", "key", "kill", "last", "live", "locked",
		"lower", "materialized", "max", "min", "minute", "month", "name", "namespace", "next", "no", "nothing", "now",
		"nulls", "numeric", "oauth", "oidc", "options", "others", "over", "overlay", "partition", "partitions",
		"password", "policy", "position", "preceding", "precision", "range", "real", "recursive", "release", "replace",
		"reset", "restrict", "role", "rollback", "row", "rows", "savepoint", "schema", "second", "serial", "set",
		"shared", "show", "smallint", "start", "status", "storage", "stream", "subscribe", "substring", "sum", "text",
		"ties", "time", "timestamp", "timestamptz", "topic", "transaction", "trigger", "trim", "truncate", "type",
		"unbounded", "unknown", "update", "upper", "use", "uuid", "vacuum", "value", "values", "varchar", "varying",
		"view", "within", "without", "work", "year", "zone")
	add(callable, "authorization", "binary", "collation", "concurrently", "cross", "current_schema", "freeze", "full",
		"ilike", "inner", "is", "isnull", "join", "left", "like", "natural", "notnull", "outer", "overlaps", "right",
		"similar", "tablesample", "verbose")
	add(reserved, "all", "analyse", "analyze", "and", "any", "array", "as", "asc", "asymmetric", "both", "case", "cast",
		"check", "collate", "column", "constraint", "create", "current_catalog", "current_date", "current_role",
		"current_time", "current_timestamp", "current_user", "default", "deferrable", "desc", "distinct", "do", "else",
		"end", "except", "false", "fetch", "for", "foreign", "from", "grant", "group", "having", "in", "initially",
		"intersect", "into", "lateral", "leading", "limit", "localtime", "localtimestamp", "not", "null", "offset",
		"on", "only", "or", "order", "placing", "primary", "references", "returning", "select", "session_user", "some",
		"symmetric", "system_user", "table", "then", "to", "trailing", "true", "union", "unique", "user", "using",
		"variadic", "when", "where", "window", "with")
	return m
}

// needsAs are the plain words that name a column of the result only after AS,
// because a clause may begin with them.
var needsAs = map[string]bool{
	"char": true, "character": true, "day": true, "filter": true, "hour": true, "minute": true, "month": true,
	"over": true, "precision": true, "second": true, "varying": true, "within": true, "without": true, "year": true,
}
