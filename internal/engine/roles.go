package engine

import (
	"github.com/kalamdb/kalam-go/internal/catalog"
	"github.com/kalamdb/kalam-go/internal/dialect"
	"github.com/kalamdb/kalam-go/internal/identity"
	"github.com/kalamdb/kalam-go/wire"
)

// right is a row of the role matrix: something that some roles may do.
type right uint8

const (
	anyone        right = iota // SHOW, DESCRIBE TABLE, USE, transactions
	administer                 // namespaces, users, EXPLAIN, SET, and what shows the whole server
	maintain                   // STORAGE FLUSH and COMPACT
	createPrivate              // CREATE USER|STREAM TABLE
	createShared               // CREATE SHARED TABLE
	definePrivate              // ALTER, CREATE|DROP INDEX and DROP of a USER or STREAM table; see mayDefine for owners
	defineShared               // the same of a SHARED table
	defineDBA                  // the same of a SHARED table with access level dba
	ownRows                    // SELECT and changes in USER and STREAM tables: the caller's own rows
	readPublic                 // SELECT on a SHARED table with access level public
	readShared                 // SELECT on one with access level private or restricted
	writeShared                // changes in a SHARED table of these three levels
	useDBA                     // SELECT and changes in one with access level dba
	readSystem                 // SELECT on a table of the server's own, however it is reached
	writeSystem                // changes in one
	consumeTopics              // CONSUME and ACK, by SQL and by HTTP; see mayConsume for grants
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
	anyone:        {everyone, "run this statement"},
	administer:    {admins, "run"},    // followed by the statement
	maintain:      {serviceUp, "run"}, // followed by the statement
	createPrivate: {everyone, "create USER and STREAM tables"},
	createShared:  {serviceUp, "create SHARED tables"},
	definePrivate: {serviceUp, "change the definition of"},
	defineShared:  {serviceUp, "change the definition of"},
	defineDBA:     {admins, "change the definition of"},
	ownRows:       {everyone, "use"},
	readPublic:    {everyone, "read"},
	readShared:    {serviceUp, "read"},
	writeShared:   {serviceUp, "write"},
	useDBA:        {admins, "use"},
	readSystem:    {admins, "read"},
	writeSystem:   {nobody, "write"},
	consumeTopics: {serviceUp, "consume topics"},
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

// has looks a right up in the matrix. what names the object, "" for none.
func has(role string, r right, what string) *wire.Error {
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

// classify gives the right that a statement needs by its sort alone, and how a
// refusal names the statement. What it does to tables comes on top.
func classify(source string, s dialect.Statement) (right, string, error) {
	switch s := s.(type) {
	case *dialect.CreateNamespace:
		return administer, "CREATE NAMESPACE", nil
	case *dialect.DropNamespace:
		return administer, "DROP NAMESPACE", nil
	case *dialect.AlterNamespace:
		return administer, "ALTER NAMESPACE", nil
	case *dialect.CreateUser:
		return administer, "CREATE USER", nil
	case *dialect.AlterUser:
		return administer, "ALTER USER", nil
	case *dialect.DropUser:
		return administer, "DROP USER", nil
	case *dialect.CreateTopic:
		return administer, "CREATE TOPIC", nil
	case *dialect.AlterTopic:
		return administer, "ALTER TOPIC", nil
	case *dialect.DropTopic:
		return administer, "DROP TOPIC", nil
	case *dialect.ClearTopic:
		return administer, "CLEAR TOPIC", nil
	case *dialect.ResetGroup:
		return administer, "RESET CONSUMER GROUP", nil
	case *dialect.Grant:
		return administer, "GRANT and REVOKE", nil
	case *dialect.Consume, *dialect.Ack:
		return consumeTopics, "", nil
	case *dialect.Explain:
		return administer, "EXPLAIN", nil
	case *dialect.SetVar:
		return administer, "SET", nil
	case *dialect.KillLive:
		return administer, "KILL LIVE QUERY", nil
	case *dialect.Storage:
		if s.ID != nil {
			return administer, "STORAGE CHECK", nil
		}
		return maintain, "STORAGE " + s.Verb, nil
	case *dialect.CommandOnly:
		if s.Verb != "EXPORT USER DATA" {
			return administer, s.Verb, nil
		}
	case *dialect.Describe:
		if !s.Table {
			return administer, "DESCRIBE without TABLE", nil
		}
	case *dialect.Show:
		if s.What == "ALL" || s.What == "COLUMNS" {
			return administer, "SHOW " + s.What, nil
		}
	case *dialect.CreateTable:
		kind, err := tableKind(source, s)
		if kind == catalog.Shared {
			return createShared, "", err
		}
		return createPrivate, "", err
	}
	return anyone, "", nil
}

// rowRight is the right that reading or changing the rows of a table needs.
func rowRight(t *catalog.Table, write bool) right {
	switch {
	case t.Kind == catalog.System && write:
		return writeSystem
	case t.Kind == catalog.System:
		return readSystem
	case t.Kind.Private():
		return ownRows
	case t.Access == "dba":
		return useDBA
	case write:
		return writeShared
	case t.Access == "public":
		return readPublic
	}
	return readShared
}

// mayUse checks the right to the rows of a table.
func mayUse(role string, t *catalog.Table, write bool) *wire.Error {
	return has(role, rowRight(t, write), t.FullName())
}

// defineRight is the right that changing or dropping a table needs.
func defineRight(t *catalog.Table) right {
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
