package catalog

import "slices"

// AccessPolicies is the access level at which policies say who sees and changes
// the rows of a SHARED table.
const AccessPolicies = "policies"

// MaxPolicies is how many policies a table may have.
const MaxPolicies = 100

// Command is what a statement does to a row.
type Command string

// The commands, and that of a policy which is for all of them.
const (
	Select Command = "select"
	Insert Command = "insert"
	Update Command = "update"
	Delete Command = "delete"
	All    Command = "all"
)

// Policy says which rows of a SHARED table some roles may see or change.
type Policy struct {
	Name        string   `json:"name"`
	Restrictive bool     `json:"restrictive,omitempty"`
	Command     Command  `json:"command"`
	Roles       []string `json:"roles,omitempty"` // of user and service; empty: both
	Using       string   `json:"using,omitempty"` // SQL text of the condition on a row that is there, "" for none
	Check       string   `json:"check,omitempty"` // SQL text of the condition on a row that is written, "" for none
}

// Governed reports whether policies decide on the rows of the table.
func (t *Table) Governed() bool { return t.Kind == Shared && t.Access == AccessPolicies }

// Policy returns the index of the policy of that name, or -1.
func (t *Table) Policy(name string) int {
	return slices.IndexFunc(t.Policies, func(p Policy) bool { return p.Name == name })
}

// Obeys reports whether policies hold for a role at all: they do for every role
// but those of administrators.
func Obeys(role string) bool { return role != "dba" && role != "system" }

// PolicyRoles are the roles that a policy may be for.
var PolicyRoles = []string{"user", "service"}

// Holds reports whether the policy is one of those that decide on a command of a
// role.
func (p *Policy) Holds(role string, c Command) bool {
	if p.Command != All && p.Command != c {
		return false
	}
	if len(p.Roles) == 0 {
		return slices.Contains(PolicyRoles, role)
	}
	return slices.Contains(p.Roles, role)
}
