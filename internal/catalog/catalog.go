// Package catalog says what exists: namespaces, tables and their columns, and
// topics.
//
// A Snapshot is immutable. Whoever runs a statement takes one and keeps it to
// the end, so that a statement sees one state of the catalog whatever others
// define meanwhile. The store makes a new Snapshot after each definition.
package catalog

import (
	"cmp"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/kalamdb/kalam-go/wire"
)

// Kind is the kind of a table; it decides whose rows are whose.
type Kind uint8

// The kinds of tables. The rows of a User and of a Stream table are private to
// each user; a Stream table's rows end after a time; a System table belongs to
// the server.
const (
	User Kind = iota + 1
	Shared
	Stream
	System
)

var kindNames = [...]string{User: "user", Shared: "shared", Stream: "stream", System: "system"}

// String gives the kind as system.tables shows it: user, shared, stream, system.
func (k Kind) String() string { return kindNames[k] }

// KindOf returns the kind of that name in any case, 0 if there is none.
func KindOf(name string) Kind {
	for k := User; k <= System; k++ {
		if strings.EqualFold(name, kindNames[k]) {
			return k
		}
	}
	return 0
}

// Private reports whether each user has rows of their own.
func (k Kind) Private() bool { return k == User || k == Stream }

// Column is one column of a table.
type Column struct {
	ID      int       `json:"id"` // from 1; stable over renames, never used again
	Name    string    `json:"name"`
	Type    wire.Type `json:"type"`
	SQLType string    `json:"sql_type"` // the type as SQL writes it
	NotNull bool      `json:"not_null,omitempty"`
	Default string    `json:"default,omitempty"` // SQL text of the expression, "" for none
	Limit   int       `json:"limit,omitempty"`   // an expr.Modifier: the length of VARCHAR(n), the precision of TIMESTAMP(n)
	Always  bool      `json:"always,omitempty"`  // GENERATED ALWAYS: no statement brings a value
	Serial  int       `json:"serial,omitempty"`  // of a SERIAL, the number of its counter; 0 for others
}

// Physical is the column's name in the engine.
func (c *Column) Physical() string {
	if c.ID == 0 { // of a System table
		return `"` + c.Name + `"`
	}
	return "c" + strconv.Itoa(c.ID)
}

// MaxColumns is how many columns a table may have, so that a result holds them
// all.
const MaxColumns = 1598

// Table is one version of a table's definition. Fields are read-only.
type Table struct {
	ID        int64             `json:"id"`
	Namespace string            `json:"namespace"`
	Name      string            `json:"name"`
	Kind      Kind              `json:"kind"`
	Version   int               `json:"version"` // 1, and one more with each ALTER
	Columns   []Column          `json:"columns"` // without the system columns
	Key       []int             `json:"key"`     // indexes into Columns; empty: a STREAM table without a key
	Checks    []Check           `json:"checks,omitempty"`
	Indexes   []Index           `json:"indexes,omitempty"`
	LastID    int               `json:"last_id"`          // the largest column id that was ever given
	Unused    []int             `json:"unused,omitempty"` // ids of columns that were dropped and that the engine's table still has
	Options   map[string]string `json:"options,omitempty"`
	Access    string            `json:"access,omitempty"`   // SHARED: public, private, restricted, dba, policies
	TTL       int64             `json:"ttl,omitempty"`      // STREAM: seconds
	Policies  []Policy          `json:"policies,omitempty"` // SHARED; in force while Access is AccessPolicies
	Governs   int64             `json:"governs,omitempty"`  // with policies: the newest change when they or the access level were last changed
	Owner     string            `json:"owner"`
	CreatedAt int64             `json:"created_at"` // microseconds
	UpdatedAt int64             `json:"updated_at"`

	// Of a System table; see NewSystem.
	view    string
	rows    func() [][]wire.Value
	ofUsers string // the column that says whose a row is, "" for none
	toAdmin bool   // of ofUsers: administrators see all rows
}

// Index is a secondary index. A UNIQUE constraint is one that is Unique.
type Index struct {
	Name    string `json:"name"`
	Columns []int  `json:"columns"` // ids of the columns
	Unique  bool   `json:"unique,omitempty"`
	Engine  string `json:"engine,omitempty"` // its name in the engine, where older versions gave it another than Physical does
}

// Physical is the index's name in the engine.
func (ix *Index) Physical(t *Table) string {
	if ix.Engine != "" {
		return ix.Engine
	}
	return t.Physical() + "_i_" + ix.Name
}

// IsUnique reports whether no two rows of a scope have the same value in the
// column with that index.
func (t *Table) IsUnique(i int) bool {
	if len(t.Key) == 1 && t.Key[0] == i {
		return true
	}
	return slices.ContainsFunc(t.Indexes, func(ix Index) bool {
		return ix.Unique && len(ix.Columns) == 1 && ix.Columns[0] == t.Columns[i].ID
	})
}

// Index returns the index of that name, nil if there is none.
func (t *Table) Index(name string) *Index {
	for i := range t.Indexes {
		if t.Indexes[i].Name == name {
			return &t.Indexes[i]
		}
	}
	return nil
}

// ByID returns the position of the column with that id, or -1.
func (t *Table) ByID(id int) int {
	for i := range t.Columns {
		if t.Columns[i].ID == id {
			return i
		}
	}
	return -1
}

// Clone returns a copy that may be changed, as the next version.
func (t *Table) Clone() *Table {
	c := *t
	c.Version++
	c.Columns = slices.Clone(t.Columns)
	c.Key = slices.Clone(t.Key)
	c.Unused = slices.Clone(t.Unused)
	c.Checks = slices.Clone(t.Checks)
	c.Indexes = slices.Clone(t.Indexes)
	c.Policies = slices.Clone(t.Policies)
	c.Options = maps.Clone(t.Options)
	return &c
}

// Check is a CHECK constraint.
type Check struct {
	Name string `json:"name"`
	Expr string `json:"expr"` // SQL text
}

// Physical is the table's name in the engine. A System table has none.
func (t *Table) Physical() string {
	return "t" + strconv.FormatInt(t.ID, 10)
}

// FullName is the name with its namespace.
func (t *Table) FullName() string { return t.Namespace + "." + t.Name }

// Column returns the index of the column with that (folded) name, or -1.
func (t *Table) Column(name string) int {
	for i := range t.Columns {
		if t.Columns[i].Name == name {
			return i
		}
	}
	return -1
}

// IsKey reports whether the column with that index is part of the primary key.
func (t *Table) IsKey(i int) bool {
	for _, k := range t.Key {
		if k == i {
			return true
		}
	}
	return false
}

// FileColumns are the indexes of the columns of type FILE.
func (t *Table) FileColumns() []int {
	var out []int
	for i := range t.Columns {
		if t.Columns[i].Type.Kind == wire.File {
			out = append(out, i)
		}
	}
	return out
}

// The system columns, the last two of every table that is not a System table.
const (
	SeqColumn     = "_seq"
	DeletedColumn = "_deleted"
)

// Namespace groups tables.
type Namespace struct {
	Name      string
	CreatedAt int64 // microseconds, 0 for the server's own
}

// Snapshot is the catalog at one version.
type Snapshot struct {
	Version    int64
	namespaces map[string]*Namespace
	tables     map[string]*Table // by full name
	byID       map[int64]*Table
	topics     map[string]*Topic // by full name
	routed     bool              // a topic has a source
}

// NewSnapshot builds a snapshot. It keeps the tables and topics, which must not
// change afterwards.
func NewSnapshot(version int64, namespaces []*Namespace, tables []*Table, topics ...*Topic) *Snapshot {
	s := &Snapshot{
		Version:    version,
		namespaces: make(map[string]*Namespace, len(namespaces)),
		tables:     make(map[string]*Table, len(tables)),
		byID:       make(map[int64]*Table, len(tables)),
	}
	for _, n := range namespaces {
		s.namespaces[n.Name] = n
	}
	for _, t := range tables {
		s.tables[t.FullName()] = t
		if t.Kind != System {
			s.byID[t.ID] = t
		}
	}
	s.addTopics(topics)
	return s
}

// Definition is one step from a Snapshot to the next: a table, topic or namespace
// as it is from then on, or, with Drop, that it is no more.
type Definition struct {
	Namespace *Namespace // exactly one of the three is set
	Table     *Table
	Topic     *Topic
	Drop      bool
}

// With returns the next snapshot, in which what steps do not name is the same
// value as in s. It costs what the steps cost, and to copy the names of the rest.
func (s *Snapshot) With(steps []Definition) *Snapshot {
	next := &Snapshot{
		Version: s.Version + 1, namespaces: maps.Clone(s.namespaces), tables: maps.Clone(s.tables), byID: maps.Clone(s.byID),
		topics: maps.Clone(s.topics),
	}
	for _, d := range steps {
		switch {
		case d.Namespace != nil:
			set(next.namespaces, d.Namespace.Name, d.Namespace, d.Drop)
		case d.Topic != nil:
			set(next.topics, d.Topic.FullName(), d.Topic, d.Drop)
		case d.Table.Kind == System:
			set(next.tables, d.Table.FullName(), d.Table, d.Drop)
		default:
			if before := next.byID[d.Table.ID]; before != nil {
				delete(next.tables, before.FullName()) // it may have had another name
			}
			set(next.byID, d.Table.ID, d.Table, d.Drop)
			set(next.tables, d.Table.FullName(), d.Table, d.Drop)
		}
	}
	next.route()
	return next
}

// set makes value what m has under key; with drop there is nothing.
func set[K comparable, V any](m map[K]V, key K, value V, drop bool) {
	if drop {
		delete(m, key)
		return
	}
	m[key] = value
}

// Namespace returns the namespace of that name, or nil.
func (s *Snapshot) Namespace(name string) *Namespace { return s.namespaces[name] }

// Table returns the table, or nil.
func (s *Snapshot) Table(namespace, name string) *Table {
	return s.tables[namespace+"."+name]
}

// TableByID returns the table with that id, or nil. System tables have none.
func (s *Snapshot) TableByID(id int64) *Table { return s.byID[id] }

// Tables returns the tables of a namespace in the order of their names.
func (s *Snapshot) Tables(namespace string) []*Table {
	var out []*Table
	for _, t := range s.tables {
		if t.Namespace == namespace {
			out = append(out, t)
		}
	}
	slices.SortFunc(out, func(a, b *Table) int { return strings.Compare(a.Name, b.Name) })
	return out
}

// Owned calls fn for every table of a user, in no order.
func (s *Snapshot) Owned(user string, fn func(*Table)) {
	for _, t := range s.byID {
		if t.Owner == user {
			fn(t)
		}
	}
}

// All returns the tables of all namespaces in the order of their names.
func (s *Snapshot) All() []*Table {
	return slices.SortedFunc(maps.Values(s.tables), func(a, b *Table) int {
		return cmp.Or(strings.Compare(a.Namespace, b.Namespace), strings.Compare(a.Name, b.Name))
	})
}

// Namespaces returns the namespaces in the order of their names.
func (s *Snapshot) Namespaces() []*Namespace {
	return slices.SortedFunc(maps.Values(s.namespaces), func(a, b *Namespace) int { return strings.Compare(a.Name, b.Name) })
}
