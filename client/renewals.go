package client

import "sync"

// renewals knows the refresh tokens that this client has replaced. A server
// takes the use of a replaced token for theft and ends the session, so the
// client never sends one.
type renewals struct {
	mu    sync.Mutex
	known map[uint64]*lineage // by the hash of each token of a session; mu guards it
}

// lineage is what the refresh tokens of one session have in common.
type lineage struct{ newest string }

// maxRenewals bounds the tokens that are known: twice what a session of 30 days
// has that is renewed each minute. Beyond it all are forgotten.
const maxRenewals = 1 << 17

// begin notes the first refresh token of a session.
func (r *renewals) begin(token string) { r.replace(token, token) }

// replace notes that next has come of token.
func (r *renewals) replace(token, next string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	l := r.known[hashOf(token)]
	if r.known == nil || len(r.known) >= maxRenewals {
		r.known = make(map[uint64]*lineage)
	}
	if l == nil {
		l = &lineage{newest: token}
	}
	if l.newest == token { // else the answer is late
		l.newest = next
	}
	r.known[hashOf(token)], r.known[hashOf(next)] = l, l
}

// newest returns the token that stands now for the session of token, which is
// token itself when the client does not know it.
func (r *renewals) newest(token string) string {
	r.mu.Lock()
	defer r.mu.Unlock()
	if l := r.known[hashOf(token)]; l != nil {
		return l.newest
	}
	return token
}

// hashOf is FNV-1a with 64 bits: hash/fnv is not part of the WebAssembly build.
func hashOf(token string) uint64 {
	h := uint64(14695981039346656037)
	for i := range len(token) {
		h = (h ^ uint64(token[i])) * 1099511628211
	}
	return h
}
