package identity

import "strings"

// The roles a user may have.
const (
	RoleUser    = "user"
	RoleService = "service"
	RoleDBA     = "dba"
	RoleSystem  = "system"
)

// ParseRole returns the role that a word of the SQL dialect stands for, in any
// case, and whether there is one. Admin means dba; developer and analyst mean
// service; viewer and readonly mean user.
func ParseRole(word string) (string, bool) {
	switch strings.ToLower(word) {
	case "user", "viewer", "readonly":
		return RoleUser, true
	case "service", "developer", "analyst":
		return RoleService, true
	case "dba", "admin":
		return RoleDBA, true
	case "system":
		return RoleSystem, true
	}
	return "", false
}

// IsAdminRole reports whether a role may administer the server.
func IsAdminRole(role string) bool { return role == RoleDBA || role == RoleSystem }

// MayImpersonate reports whether an actor's role may run a statement as a user
// of the target role. Everybody may act as themselves, whatever the role: that
// is a question of user ids and the caller's to ask.
func MayImpersonate(actor, target string) bool {
	switch target {
	case RoleUser, RoleService:
		return actor == RoleService || IsAdminRole(actor)
	case RoleDBA:
		return IsAdminRole(actor)
	case RoleSystem:
		return actor == RoleSystem
	}
	return false
}

// mayManage reports whether an actor's role may create, change or drop a user
// of the target role. A dba neither makes nor changes a system user, or it
// could set that user's password and become one.
func mayManage(actor, target string) bool {
	return actor == RoleSystem || actor == RoleDBA && target != RoleSystem
}
