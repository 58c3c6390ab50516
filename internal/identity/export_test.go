package identity

// Anchors counts what the principals in memory hang on.
func (s *Service) Anchors() int {
	s.registry.mu.Lock()
	defer s.registry.mu.Unlock()
	return len(s.registry.anchors)
}

// CommonPasswords counts the passwords that are refused as common.
func CommonPasswords() int { return len(commonPasswords()) }
