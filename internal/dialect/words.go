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

// words is what the scanner knows: PostgreSQL's reserved words and, to spare
// allocations only, the words that this grammar uses. It is a hash table with
// open addressing: the scanner has the hash at hand when it has the word.
var words = listWords()

// wordSlots is the size of the table, a power of two and several times the
// number of words.
const wordSlots = 2048

type wordTable [wordSlots]word

// hashByte adds a byte, whatever its case, to the hash of a word.
func hashByte(h uint32, c byte) uint32 { return (h ^ uint32(c|0x20)) * 0x01000193 }

func hashOf(text string) uint32 {
	h := uint32(0)
	for i := range len(text) {
		h = hashByte(h, text[i])
	}
	return h
}

// find looks a word up; text may have any case and h is its hash.
func (t *wordTable) find(text string, h uint32) (word, bool) {
	for i := h % wordSlots; t[i].text != ""; i = (i + 1) % wordSlots {
		if equalFold(t[i].text, text) {
			return t[i], true
		}
	}
	return word{}, false
}

// equalFold compares a folded word with a text.
func equalFold(folded, text string) bool {
	if len(folded) != len(text) {
		return false
	}
	for i := range len(text) {
		if folded[i] != lower(text[i]) {
			return false
		}
	}
	return true
}

// classOf is the class of a folded word.
func classOf(folded string) class {
	w, _ := words.find(folded, hashOf(folded))
	return w.class
}

func listWords() *wordTable {
	m := &wordTable{}
	add := func(c class, list ...string) {
		for _, text := range list {
			i := hashOf(text) % wordSlots
			for m[i].text != "" && m[i].text != text {
				i = (i + 1) % wordSlots
			}
			m[i] = word{text, c}
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
		"view", "within", "without", "work", "year", "zone", "access", "after", "btree", "columns", "data", "description",
		"history", "level", "manifest", "modify", "namespaces", "query", "rename", "schemas", "stats", "storages",
		"tables", "tblproperties", "consumer", "earliest", "latest", "retention", "revoke", "source", "upto")
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
