package budget

// Heavy reports whether a user has used more than their share lately.
func (t *Turns) Heavy(user string) bool { return t.Of(user).heavy.Load() }
