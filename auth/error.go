package auth

import (
	"errors"
	"time"
)

// RetryAfter marks a failure of a provider as one to try again after a time and
// not before, as a token endpoint says with status 429 or 503.
func RetryAfter(err error, d time.Duration) error {
	if err == nil {
		return nil
	}
	return &retryAfter{err, d}
}

// RetryAfterOf returns the time of RetryAfter, if err was marked with it.
func RetryAfterOf(err error) (time.Duration, bool) {
	var r *retryAfter
	if errors.As(err, &r) {
		return r.after, true
	}
	return 0, false
}

type retryAfter struct {
	err   error
	after time.Duration
}

func (r *retryAfter) Error() string { return r.err.Error() }
func (r *retryAfter) Unwrap() error { return r.err }
