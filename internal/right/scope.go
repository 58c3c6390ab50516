package right

import (
	"slices"
	"strings"

	"github.com/kalamdb/kalam-go/internal/catalog"
	"github.com/kalamdb/kalam-go/internal/identity"
	"github.com/kalamdb/kalam-go/wire"
)

// An API key narrows what its user may do: nothing here allows anything. A nil
// scope is that of somebody who has signed in, and refuses nothing.

// Reach is what a sort of statement is about. It says what an API key may run,
// whatever its user may.
type Reach uint8

const (
	Server   Reach = iota // something of the whole server
	Accounts              // who may sign in
	Listing               // it shows something of the whole server
	Reading               // it reads tables, each of which is decided on
	Writing               // it changes tables or topics, each of which is decided on
)

// inScope refuses a statement that an API key is not for by its sort.
func (r Reach) inScope(scope *identity.Scope) error {
	switch {
	case scope == nil || r == Reading:
		return nil
	case r == Accounts:
		return OutsideKey("does not manage users or API keys, as none does; sign in")
	case r != Listing && scope.ReadOnly:
		return OutsideKey("only reads")
	case r == Writing || scope.Namespaces == nil:
		return nil
	case r == Listing:
		return OutsideKey("is for ", Listed("namespace", scope.Namespaces), "; SHOW TABLES IN shows one of them")
	}
	return OutsideKey("is for ", Listed("namespace", scope.Namespaces), " and runs only statements on their tables and topics")
}

// OutsideKey is the refusal of what an API key is not for.
func OutsideKey(parts ...string) error {
	return wire.NewError(wire.CodePermissionDenied, append([]string{"permission denied: this API key "}, parts...)...)
}

// InNamespaces refuses a namespace that an API key is not for.
func InNamespaces(scope *identity.Scope, namespace string) error {
	if scope == nil || scope.Namespaces == nil || slices.Contains(scope.Namespaces, namespace) {
		return nil
	}
	return OutsideKey("is for ", Listed("namespace", scope.Namespaces), ", not for ", namespace)
}

// InScope refuses a table that an API key is not for, or with write one that it
// may only read.
func InScope(scope *identity.Scope, t *catalog.Table, write bool) error {
	if scope == nil {
		return nil
	}
	if write && scope.ReadOnly {
		return OutsideKey("only reads; it may not change ", t.FullName())
	}
	return InNamespaces(scope, t.Namespace)
}

// TopicInScope refuses a topic that an API key is not for. Who consumes changes
// what others of the group get, so a key that only reads consumes nothing.
func TopicInScope(scope *identity.Scope, t *catalog.Topic) error {
	switch {
	case scope == nil:
		return nil
	case scope.ReadOnly:
		return OutsideKey("only reads, and consuming a topic is more")
	case scope.Topics != nil && !slices.Contains(scope.Topics, t.FullName()):
		return OutsideKey("is for ", Listed("topic", scope.Topics), ", not for ", t.FullName())
	}
	return InNamespaces(scope, t.Namespace)
}

// Listed names several things of a sort.
func Listed(what string, list []string) string {
	if len(list) != 1 {
		what += "s"
	}
	return "the " + what + " " + strings.Join(list, ", ")
}
