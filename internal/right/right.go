// Package right is the role matrix: which role may do what, and what an API key
// leaves of that (scope.go). It knows roles and tables, not who is asking or how a
// statement names a table.
//
// One flow: whoever binds a statement asks Check for its sort, and Use for each
// table that it reads or writes.
package right

import (
	"github.com/kalamdb/kalam-go/internal/catalog"
	"github.com/kalamdb/kalam-go/internal/identity"
	"github.com/kalamdb/kalam-go/wire"
)

// Right is a row of the role matrix: something that some roles may do.
type Right uint8

// The rows of the matrix.
const (
	Anyone        Right = iota // SHOW, DESCRIBE TABLE, USE, transactions
	Administer                 // namespaces, users, EXPLAIN, SET, and what shows the whole server
	Maintain                   // STORAGE FLUSH and COMPACT
	CreatePrivate              // CREATE USER|STREAM TABLE
	CreateShared               // CREATE SHARED TABLE
	definePrivate              // ALTER, CREATE|DROP INDEX and DROP of a USER or STREAM table; its owner may more
	defineShared               // the same of a SHARED table
	defineDBA                  // the same of a SHARED table with access level dba
	ownRows                    // SELECT and changes in USER and STREAM tables: the caller's own rows
	readPublic                 // SELECT on a SHARED table with access level public
	readShared                 // SELECT on one with access level private or restricted
	writeShared                // changes in a SHARED table of these three levels
	useDBA                     // SELECT and changes in one with access level dba
	useGoverned                // SELECT and changes in one with access level policies, which say what of it
	readSystem                 // SELECT on a table of the server's own, however it is reached
	writeSystem                // changes in one
	ConsumeTopics              // CONSUME and ACK, by SQL and by HTTP; a topic grants it to some
)

// roles is a set of roles. What is not in the matrix, such as a role that this
// server does not know, has no right.
type roles uint8

const (
	roleUser roles = 1 << iota
	roleService
	roleDBA
	roleSystem
	admins          = roleDBA | roleSystem
	serviceUp       = roleService | admins
	everyone        = roleUser | serviceUp
	nobody    roles = 0
)

// matrix is the role matrix. EXECUTE AS has one of its own, by actor and
// target: identity.MayImpersonate.
var matrix = [...]struct {
	who  roles
	what string // how a refusal names it
}{
	Anyone:        {everyone, "run this statement"},
	Administer:    {admins, "run"},    // followed by the statement
	Maintain:      {serviceUp, "run"}, // followed by the statement
	CreatePrivate: {everyone, "create USER and STREAM tables"},
	CreateShared:  {serviceUp, "create SHARED tables"},
	definePrivate: {serviceUp, "change the definition of"},
	defineShared:  {serviceUp, "change the definition of"},
	defineDBA:     {admins, "change the definition of"},
	ownRows:       {everyone, "use"},
	readPublic:    {everyone, "read"},
	readShared:    {serviceUp, "read"},
	writeShared:   {serviceUp, "write"},
	useDBA:        {admins, "use"},
	useGoverned:   {everyone, "use"},
	readSystem:    {admins, "read"},
	writeSystem:   {nobody, "write"},
	ConsumeTopics: {serviceUp, "consume topics"},
}

func roleOf(role string) roles {
	switch role {
	case identity.RoleUser:
		return roleUser
	case identity.RoleService:
		return roleService
	case identity.RoleDBA:
		return roleDBA
	case identity.RoleSystem:
		return roleSystem
	}
	return nobody
}

// Check looks a right up in the matrix and returns the refusal, nil for none.
// what names the object, "" for none.
func Check(role string, r Right, what string) error {
	row := matrix[r]
	if roleOf(role)&row.who != 0 {
		return nil
	}
	if what != "" {
		what = " " + what
	}
	switch row.who {
	case admins:
		return wire.NewError(wire.CodePermissionDenied, "Admin privileges required: role ", role, " may not ", row.what, what, "; it needs dba or system")
	case serviceUp:
		return wire.NewError(wire.CodePermissionDenied, "permission denied: role ", role, " may not ", row.what, what, "; it needs service, dba, or system")
	}
	return wire.NewError(wire.CodePermissionDenied, "permission denied: role ", role, " may not ", row.what, what)
}

// Use checks the right to read, or with write to change, the rows of a table.
func Use(role string, t *catalog.Table, write bool) error {
	r := ofRows(t, write)
	if roleOf(role)&matrix[r].who != 0 {
		return nil
	}
	return Check(role, r, t.FullName())
}

func ofRows(t *catalog.Table, write bool) Right {
	switch {
	case t.Kind == catalog.System && write:
		return writeSystem
	case ofUsers(t), t.Kind.Private():
		return ownRows
	case t.Kind == catalog.System:
		return readSystem
	case t.Access == "dba":
		return useDBA
	case t.Governed():
		return useGoverned
	case write:
		return writeShared
	case t.Access == "public":
		return readPublic
	}
	return readShared
}

// ofUsers reports whether a system table shows each user their own rows.
func ofUsers(t *catalog.Table) bool {
	column, _ := t.RowsOf()
	return column != ""
}

// Define checks the right to change or drop a table that the role alone gives.
func Define(role string, t *catalog.Table) error { return Check(role, ofDefinition(t), t.FullName()) }

// Govern checks the right to change the policies of a SHARED table, or to set its
// access level to policies or from there to another.
func Govern(who *identity.Principal, t *catalog.Table) error {
	if roleOf(who.Role) == roleService && t.Owner == who.UserID && t.Access != "dba" {
		return nil
	}
	if roleOf(who.Role)&admins != 0 {
		return nil
	}
	return wire.NewError(wire.CodePermissionDenied, "permission denied: role ", who.Role, " may not change the policies of ", t.FullName(), "; it needs dba or system, or the service that owns the table")
}

func ofDefinition(t *catalog.Table) Right {
	switch {
	case t.Kind == catalog.System:
		return writeSystem
	case t.Kind.Private():
		return definePrivate
	case t.Access == "dba":
		return defineDBA
	}
	return defineShared
}

// Need is the right that a statement needs by its sort alone. What it does to
// tables comes on top.
type Need struct {
	Right Right
	What  string // how a refusal names the statement; "" where the right says it
	Reach Reach
}

// Check returns the refusal of who may not run the statement, nil for none.
func (n Need) Check(who *identity.Principal) error {
	if err := n.Reach.inScope(who.Scope); err != nil {
		return err
	}
	return Check(who.Role, n.Right, n.What)
}
