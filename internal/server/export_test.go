package server

import (
	"log/slog"
	"net/http"

	"github.com/kalamdb/kalam-go/internal/fault"
)

// Panicking is a route of a family whose handler panics.
func Panicking(family fault.Family) http.HandlerFunc {
	s := &Server{options: Options{MaxBody: 1 << 20, Logger: slog.New(slog.DiscardHandler)}}
	return s.enter(route{family: family, serve: func(http.ResponseWriter, *http.Request) { panic("a bug in a handler") }})
}
