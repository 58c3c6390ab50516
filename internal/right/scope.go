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
