package fault

import (
	"net/http"

	"github.com/kalamdb/kalam-go/wire"
)

// Family is a kind of answer: each has its own body, and names some errors in
// its own way.
type Family uint8

// The families of answers.
const (
	SQL       Family = iota // the SQL route
	Topic                   // the topic routes
	File                    // the file routes
	Auth                    // the auth routes
	Subscribe               // a refused live query on the WebSocket
	Live                    // a live query that ends because it cannot be evaluated
	families
)

// Answer is how an error reaches a client.
type Answer struct {
	Status int       // of HTTP
	Code   wire.Code // as the family names it
}

// as is an Answer of a family in the table; a zero field is the default.
type as map[Family]Answer

// answers says of each code what differs from the default of the family.
var answers = map[wire.Code]as{
	wire.CodePermissionDenied: {
		SQL: {Status: http.StatusForbidden}, Topic: {http.StatusForbidden, wire.CodeTopicForbidden}, File: {Status: http.StatusForbidden},
		Auth: {http.StatusForbidden, "forbidden"}, Subscribe: {Code: wire.CodeUnauthorized},
	},
	wire.CodePolicyViolation: {SQL: {Status: http.StatusForbidden}},
	wire.CodeInvalidCredentials: { // ended while the request was read
		SQL: {Status: http.StatusUnauthorized}, File: {Status: http.StatusUnauthorized}, Auth: unauthorized,
	},
	wire.CodeMissingAuthorization: {Auth: unauthorized},
	wire.CodeTokenExpired:         {Auth: unauthorized},
	wire.CodeUserNotFound:         {Auth: unauthorized},
	wire.CodeBodyTooLarge:         {SQL: {Status: http.StatusRequestEntityTooLarge}, File: {Status: http.StatusRequestEntityTooLarge}},
	wire.CodeRateLimited:          everywhere(http.StatusTooManyRequests),
	wire.CodeInternal: {
		SQL: internal, Topic: internal, File: internal, Subscribe: {Code: wire.CodeSubscriptionFailed}, Live: {Code: wire.CodeInternal},
	},
	wire.CodeUnavailable: {
		SQL: unavailable, Topic: unavailable, File: unavailable, Auth: {http.StatusServiceUnavailable, "busy"},
	},
	wire.CodeDatabaseUnavailable: everywhere(http.StatusServiceUnavailable),

	wire.CodeTableNotFound:     {Subscribe: {Code: wire.CodeNotFound}},
	wire.CodeNamespaceNotFound: {Subscribe: {Code: wire.CodeNotFound}},
	wire.CodeTopicNotFound:     {Topic: {http.StatusNotFound, wire.CodeNotFound}},
	wire.CodeGroupNotFound:     {Topic: {http.StatusNotFound, wire.CodeNotFound}},
	wire.CodeNotDelivered:      {Topic: {Status: http.StatusConflict}},
	wire.CodeFileNotFound:      {File: {Status: http.StatusNotFound}},

	wire.CodeLiveQueryTooCostly: tooCostly,
	wire.CodeStatementTimeout:   tooCostly,
	wire.CodeResultTooLarge:     tooCostly,
	wire.CodeStatementTooLarge:  tooCostly,

	wire.CodeSetupRequired: {Auth: {http.StatusPreconditionRequired, "setup_required"}},
	wire.CodeWeakPassword:  {Auth: {Code: "weak_password"}},
	wire.CodeInvalidUser:   {Auth: {Code: "invalid_user"}},
	wire.CodeUserExists:    {Auth: {http.StatusConflict, "user_exists"}},
	"ALREADY_CONFIGURED":   {Auth: {http.StatusConflict, "already_configured"}},
	wire.CodeSignUpClosed:  {Auth: {http.StatusForbidden, "signup_closed"}},
	wire.CodeInvalidCode:   {Auth: {Code: "invalid_code"}},
	wire.CodeAddressTaken:  {Auth: {http.StatusConflict, "address_taken"}},
	wire.CodeNoMail:        {Auth: {http.StatusServiceUnavailable, "mail_not_configured"}},
}

var (
	unauthorized = Answer{http.StatusUnauthorized, "unauthorized"}
	internal     = Answer{Status: http.StatusInternalServerError}
	unavailable  = Answer{Status: http.StatusServiceUnavailable}
	tooCostly    = as{Live: {Code: wire.CodeLiveQueryTooCostly}}
)

// everywhere is the same status on the routes for data.
func everywhere(status int) as {
	return as{SQL: {Status: status}, Topic: {Status: status}, File: {Status: status}}
}

// defaults name the errors that a family does not name one by one.
var defaults = [families]wire.Code{Auth: "invalid_request", Subscribe: wire.CodeInvalidSQL, Live: wire.CodeConversionError}

// AnswerOf returns how an error of that code reaches a client in a family.
func AnswerOf(f Family, code wire.Code) Answer {
	a := answers[code][f]
	if a.Status == 0 {
		a.Status = http.StatusBadRequest
	}
	if a.Code == "" {
		a.Code = defaults[f]
	}
	if a.Code == "" {
		a.Code = code
	}
	return a
}

// Busy reports whether a client may expect another answer a second later.
func (a Answer) Busy() bool {
	return a.Status == http.StatusTooManyRequests || a.Status == http.StatusServiceUnavailable
}
