package catalog

import "slices"

// Topic is one version of a topic's definition: which changes become messages
// and who may consume them. Fields are read-only.
type Topic struct {
	ID         int64  `json:"id"`
	Namespace  string `json:"namespace"`
	Name       string `json:"name"`
	Version    int    `json:"version"` // 1, and one more with each ALTER
	Partitions int    `json:"partitions"`
	// RetentionSeconds and RetentionBytes (of one partition) bound what is kept;
	// 0 is no bound.
	RetentionSeconds int64    `json:"retention_seconds,omitempty"`
	RetentionBytes   int64    `json:"retention_max_bytes,omitempty"`
	Sources          []Source `json:"sources,omitempty"`
	Grants           []Grant  `json:"grants,omitempty"`
	CreatedAt        int64    `json:"created_at"` // microseconds
	UpdatedAt        int64    `json:"updated_at"`
}

// Source says which changes of a table go to a topic, and what is sent of them.
type Source struct {
	Table   int64  `json:"table_id"`
	Op      string `json:"op"`              // insert, update, delete
	Where   string `json:"where,omitempty"` // SQL text of the filter, "" for none
	Payload string `json:"payload"`         // full, key, diff
}

// Grant is the right to consume a topic, of a user or of a role.
type Grant struct {
	Role bool   `json:"role,omitempty"` // To is a role
	To   string `json:"to"`
}

// FullName is the name with its namespace, which is the topic's id on the wire.
func (t *Topic) FullName() string { return t.Namespace + "." + t.Name }

// Clone returns a copy that may be changed, as the next version.
func (t *Topic) Clone() *Topic {
	c := *t
	c.Version++
	c.Sources = slices.Clone(t.Sources)
	c.Grants = slices.Clone(t.Grants)
	return &c
}

// Reads reports whether a table is a source of the topic.
func (t *Topic) Reads(table int64) bool {
	return slices.ContainsFunc(t.Sources, func(s Source) bool { return s.Table == table })
}

// Topic returns the topic, or nil.
func (s *Snapshot) Topic(namespace, name string) *Topic { return s.topics[namespace+"."+name] }

// TopicByID returns the topic with that id, or nil.
func (s *Snapshot) TopicByID(id int64) *Topic {
	for _, t := range s.topics {
		if t.ID == id {
			return t
		}
	}
	return nil
}

// Topics returns all topics in the order of their names.
func (s *Snapshot) Topics() []*Topic {
	out := make([]*Topic, 0, len(s.topics))
	for _, t := range s.topics {
		out = append(out, t)
	}
	slices.SortFunc(out, func(a, b *Topic) int {
		if a.FullName() < b.FullName() {
			return -1
		}
		return 1
	})
	return out
}

// Routed reports whether any topic has a source. Without one a write has
// nothing to route.
func (s *Snapshot) Routed() bool { return s.routed }

func (s *Snapshot) addTopics(list []*Topic) {
	s.topics = make(map[string]*Topic, len(list))
	for _, t := range list {
		s.topics[t.FullName()] = t
	}
	s.route()
}

// route notes whether a topic has a source.
func (s *Snapshot) route() {
	for _, t := range s.topics {
		s.routed = s.routed || len(t.Sources) > 0
	}
}
