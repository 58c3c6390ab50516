package store

// Waiting is how many writes wait for the writer.
func (db *DB) Waiting() int { return int(db.writes.able.Load()) }
