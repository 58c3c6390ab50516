package identity

// Anchors counts what the principals in memory hang on.
func (s *Service) Anchors() int {
	s.registry.mu.Lock()
	defer s.registry.mu.Unlock()
	return len(s.registry.anchors)
}
