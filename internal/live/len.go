package live

// Len is how many live queries there are.
func (h *Hub) Len() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	n := 0
	for _, of := range h.perUser {
		n += of
	}
	return n
}
