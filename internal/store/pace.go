package store

import "time"

// pace decides how long a commit waits for company. A sync costs the same
// whoever shares it, and callers who have been answered tend to come back: a
// transaction waits for as many members as were there when the last one ended,
// but no longer than that took to commit, and only when they are many: the few
// callers of a server with time to spare would only be slower.
type pace struct {
	expected int           // members of the last transaction and those who waited behind it
	took     time.Duration // its commit
	until    time.Time
}

const (
	fewestToWait = 5                // members that a transaction waits for
	longestWait  = time.Millisecond // what a hiccup of the disk adds to the next transaction
)

func (p *pace) begin() { p.until = time.Now().Add(min(p.took, longestWait)) }

func (p *pace) wait(members int) time.Duration {
	if p.expected < fewestToWait || members >= p.expected {
		return 0
	}
	return time.Until(p.until)
}

func (p *pace) ended(took time.Duration, callers int) { p.took, p.expected = took, callers }
