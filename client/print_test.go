//go:build !js

package client_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/kalamdb/kalam-go/client"
	"github.com/kalamdb/kalam-go/internal/servertest"
	"github.com/kalamdb/kalam-go/wire"
)

// TestPrintingShowsValues prints what the package gives with the verbs of fmt.
func TestPrintingShowsValues(t *testing.T) {
	s := servertest.Start(t, servertest.Options{})
	ctx := within(t)
	c := signIn(t, s.URL, "alice")
	r, err := c.Query(ctx, "SELECT 1 AS i, 9007199254740993 AS b, 'a \"b\"' AS t, 1.50 AS d, CAST(0.5 AS DOUBLE) AS f, true AS y, NULL AS n,"+
		" CAST('2024-01-02' AS DATE) AS day, CAST('2024-01-02 03:04:05' AS TIMESTAMP) AS at, CAST('\\x6869' AS BYTES) AS raw, CAST('03:04:05' AS TIME) AS clock")
	if err != nil {
		t.Fatal(err)
	}
	row := r.Rows()[0]
	const want = `{i: 1, b: 9007199254740993, t: "a \"b\"", d: 1.50, f: 0.5, y: true, n: NULL, day: 2024-01-02, at: 2024-01-02T03:04:05Z, raw: \x6869, clock: 03:04:05}`
	for _, verb := range []string{"%v", "%+v", "%s"} {
		for what, c := range map[string][2]any{
			"row":     {row, want},
			"rows":    {r.Rows(), "[" + want + "]"},
			"result":  {r, "[" + want + "]"},
			"value":   {row.Value("t"), `a "b"`},
			"null":    {row.Value("n"), "NULL"},
			"number":  {row.Value("i"), "1"},
			"float":   {row.Value("f"), "0.5"},
			"bytes":   {row.Value("raw"), `\x6869`},
			"boolean": {[]wire.Value{row.Value("y")}, "[true]"},
			"event":   {client.Event{Type: client.EventUpdate, Old: r.Rows(), Rows: r.Rows()}, "update [" + want + "] -> [" + want + "]"},
			"nothing": {client.Row{}, "{}"},
			"empty":   {client.Result{Message: "Inserted 1 row(s)"}, "Inserted 1 row(s)"},
		} {
			if got := fmt.Sprintf(verb, c[0]); got != c[1] {
				t.Errorf("%s of a %s is\n%s\nand not\n%s", verb, what, got, c[1])
			}
		}
	}
	for e, err := range c.Subscribe(ctx, "SELECT id FROM chat.messages WHERE id < 0", client.SubscribeOptions{}) {
		if text := fmt.Sprint(e); err != nil || !strings.HasPrefix(text, "ack") {
			t.Errorf("got %s, %v", text, err)
		}
		break
	}
}
