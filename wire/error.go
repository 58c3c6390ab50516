package wire

// Code is an error code of the protocol. Clients act on the code; the message
// is for people.
type Code string

// Codes of SQL answers (section 1.9.6) and ours beside them.
const (
	CodeMissingAuthorization Code = "MISSING_AUTHORIZATION"
	CodeTokenExpired         Code = "TOKEN_EXPIRED"
	CodeInvalidCredentials   Code = "INVALID_CREDENTIALS"
	CodeSetupRequired        Code = "SETUP_REQUIRED"
	CodeInvalidInput         Code = "INVALID_INPUT"
	CodeInvalidParameter     Code = "INVALID_PARAMETER"
	CodeEmptySQL             Code = "EMPTY_SQL"
	CodeInvalidSQL           Code = "INVALID_SQL"
	CodeBatchParseError      Code = "BATCH_PARSE_ERROR"
	CodeParamsWithBatch      Code = "PARAMS_WITH_BATCH"
	CodeSQLExecution         Code = "SQL_EXECUTION_ERROR"
	CodePermissionDenied     Code = "PERMISSION_DENIED"
	CodeUnsupported          Code = "UNSUPPORTED_STATEMENT"
	CodeBodyTooLarge         Code = "BODY_TOO_LARGE"
	CodeRateLimited          Code = "RATE_LIMIT_EXCEEDED"
	CodeInternal             Code = "INTERNAL_ERROR"
	CodeUnavailable          Code = "SERVER_UNAVAILABLE"

	CodeTableNotFound       Code = "TABLE_NOT_FOUND"
	CodeNamespaceNotFound   Code = "NAMESPACE_NOT_FOUND"
	CodeColumnNotFound      Code = "COLUMN_NOT_FOUND"
	CodeUserNotFound        Code = "USER_NOT_FOUND"
	CodeAlreadyExists       Code = "ALREADY_EXISTS"
	CodeUniqueViolation     Code = "UNIQUE_VIOLATION"
	CodeNotNullViolation    Code = "NOT_NULL_VIOLATION"
	CodeCheckViolation      Code = "CHECK_VIOLATION"
	CodePolicyViolation     Code = "POLICY_VIOLATION"
	CodeTypeMismatch        Code = "TYPE_MISMATCH"
	CodeNumericOutOfRange   Code = "NUMERIC_OUT_OF_RANGE"
	CodeDivisionByZero      Code = "DIVISION_BY_ZERO"
	CodeInvalidText         Code = "INVALID_TEXT_REPRESENTATION"
	CodeFunctionNotFound    Code = "FUNCTION_NOT_FOUND"
	CodeParameterCount      Code = "PARAMETER_COUNT"
	CodeResultTooLarge      Code = "RESULT_TOO_LARGE"
	CodeStatementTooLarge   Code = "STATEMENT_TOO_LARGE"
	CodeQuotaExceeded       Code = "QUOTA_EXCEEDED"
	CodeStatementTimeout    Code = "STATEMENT_TIMEOUT"
	CodeTransactionAborted  Code = "TRANSACTION_ABORTED"
	CodeWeakPassword        Code = "WEAK_PASSWORD"
	CodeDatabaseUnavailable Code = "DATABASE_UNAVAILABLE"

	CodeFileTooLarge     Code = "FILE_TOO_LARGE"
	CodeTooManyFiles     Code = "TOO_MANY_FILES"
	CodeMissingFile      Code = "MISSING_FILE"
	CodeExtraFile        Code = "EXTRA_FILE"
	CodeFileNotFound     Code = "FILE_NOT_FOUND"
	CodeInvalidMIMEType  Code = "INVALID_MIME_TYPE"
	CodeChecksumMismatch Code = "CHECKSUM_MISMATCH"
	CodeFileQuota        Code = "FILE_QUOTA_EXCEEDED"
)

// Codes of the routes of accounts, which write them in small letters.
const (
	CodeSignUpClosed  Code = "SIGNUP_CLOSED"
	CodeInvalidCode   Code = "INVALID_CODE"
	CodeAddressTaken  Code = "ADDRESS_TAKEN"
	CodeUserExists    Code = "USER_EXISTS"
	CodeInvalidUser   Code = "INVALID_USER"
	CodeNoMail        Code = "MAIL_NOT_CONFIGURED"
	CodeWrongPassword Code = "WRONG_PASSWORD"
)

// Codes of WebSocket error frames (section 2.9 and 2.13).
const (
	CodeAuthRequired          Code = "AUTH_REQUIRED"
	CodeInvalidSubscriptionID Code = "INVALID_SUBSCRIPTION_ID"
	CodeSubscriptionLimit     Code = "SUBSCRIPTION_LIMIT_EXCEEDED"
	CodeUnauthorized          Code = "UNAUTHORIZED"
	CodeNotFound              Code = "NOT_FOUND"
	CodeUnsupportedOption     Code = "UNSUPPORTED"
	CodeSubscriptionFailed    Code = "SUBSCRIPTION_FAILED"
	CodeConversionError       Code = "CONVERSION_ERROR"
	CodeBatchFetchFailed      Code = "BATCH_FETCH_FAILED"
	CodeMessageTooLarge       Code = "MESSAGE_TOO_LARGE"
	CodeUnsupportedData       Code = "UNSUPPORTED_DATA"
	CodeProtocol              Code = "PROTOCOL"
	CodeSlowConsumer          Code = "SLOW_CONSUMER"
	CodeLiveQueryKilled       Code = "LIVE_QUERY_KILLED"
	CodeLiveQueryTooCostly    Code = "LIVE_QUERY_TOO_COSTLY"
	CodeIdentityChanged       Code = "IDENTITY_CHANGED"
	CodeSessionEnded          Code = "SESSION_ENDED"
	CodeAuthTimeout           Code = "AUTH_TIMEOUT"
)

// Error is a failure that the other side can act on. Line and Column are
// 1-based and 0 when there is no place in a text to point at; Statement is the
// 1-based number of the failed statement, 0 when it is not about one.
type Error struct {
	Code      Code
	Message   string
	Details   string
	Hint      string
	Statement int
	Line      int
	Column    int
}

// Error gives the message, with the place and the hint where there are any.
func (e *Error) Error() string {
	s := e.Message
	if e.Line > 0 {
		s += " (line " + itoa(e.Line) + ", column " + itoa(e.Column) + ")"
	}
	if e.Hint != "" {
		s += ". " + e.Hint
	}
	return s
}

// Is makes errors.Is match two Errors by code.
func (e *Error) Is(target error) bool {
	t, ok := target.(*Error)
	return ok && t.Code == e.Code
}

// NewError returns an Error whose message is the parts joined, without formatting.
func NewError(code Code, parts ...string) *Error {
	n := 0
	for _, p := range parts {
		n += len(p)
	}
	b := make([]byte, 0, n)
	for _, p := range parts {
		b = append(b, p...)
	}
	return &Error{Code: code, Message: string(b)}
}

func itoa(n int) string {
	if n < 0 {
		return "-" + itoa(-n)
	}
	if n < 10 {
		return string(rune('0' + n))
	}
	return itoa(n/10) + string(rune('0'+n%10))
}
