package expr

// Printer writes bound expressions as the SQL of an engine.
type Printer struct{}
