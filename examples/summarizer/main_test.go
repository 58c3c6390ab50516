package main

import (
	"bytes"
	"context"
	"strings"
	"testing"
	"time"

	"github.com/kalamdb/kalam-go/internal/servertest"
)

func TestSummarizer(t *testing.T) {
	s := servertest.Start(t, servertest.Options{})
	ctx, stop := context.WithTimeout(context.Background(), time.Minute)
	defer stop()
	for range 2 { // it can be run again
		var out bytes.Buffer
		if err := run(ctx, &out, s.URL, servertest.Password); err != nil {
			t.Fatalf("%v\n%s", err, out.String())
		}
		for _, want := range []string{`alice sees "Notes": Notes: Bread needs time.`, `bob   sees "Notes": Notes: Tea needs water that boils.`} {
			if !strings.Contains(out.String(), want) {
				t.Errorf("no %q in\n%s", want, out.String())
			}
		}
		if testing.Verbose() {
			t.Log(out.String())
		}
	}
}
