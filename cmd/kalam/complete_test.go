package main

import (
	"context"
	"slices"
	"strings"
	"testing"
)

// demoSchema answers as a server with two tables.
func demoSchema() *schema {
	return &schema{rows: func(_ context.Context, sql string) [][]string {
		switch sql {
		case "SHOW TABLES":
			return [][]string{{"shop", "orders", "user"}, {"shop", "items", "shared"}, {"chat", "orders", "user"}}
		case "DESCRIBE TABLE shop.orders":
			return [][]string{{"id"}, {"total"}, {"placed"}}
		case "DESCRIBE TABLE shop.items":
			return [][]string{{"sku"}, {"price"}}
		}
		return nil
	}}
}

func TestCompletion(t *testing.T) {
	for _, c := range []struct{ text, want string }{ // the cursor is at |
		{"SELECT * FROM |", "chat.orders shop.items shop.orders"},
		{"SELECT * FROM shop.o|", "shop.orders"},
		{"SELECT * FROM shop.orders JOIN s|", "shop.items shop.orders"},
		{"INSERT INTO SHOP.I|", "shop.items"},
		{"SELECT to| FROM shop.orders", "total"},
		{"SELECT * FROM shop.orders WHERE p|", "placed primary"},
		{"SELECT * FROM shop.orders WHERE P|", "placed PRIMARY"},
		{"SELECT * FROM shop.orders o JOIN shop.items AS i ON o.|", "o.id o.placed o.total"},
		{"SELECT i.| FROM shop.items i", "i.price i.sku"},
		{"SELECT shop.items.s| FROM shop.items", "shop.items.sku"},
		{"SELECT sel|", "select"},
		{"WHE|", "WHEN WHERE"},
		{`\d|`, `\d \dn \dt`},
		{`\d shop.i|`, "shop.items"},
		{"SELECT nope.|", ""},
		{"SELECT * FROM nowhere WHERE x.|", ""},
		{"SELECT '|", ""},
		{"", ""},
	} {
		before, after, _ := strings.Cut(c.text, "|")
		_, values := demoSchema().candidates(before, before+after)
		slices.Sort(values)
		want := strings.Fields(c.want)
		slices.Sort(want)
		if !slices.Equal(values, want) {
			t.Errorf("%s: %q, want %q", c.text, values, want)
		}
	}
}

// TestCompletionAsksOnce asks the server for each thing once, until it forgets.
func TestCompletionAsksOnce(t *testing.T) {
	asked := 0
	s := &schema{rows: func(context.Context, string) [][]string { asked++; return [][]string{{"a", "b"}} }}
	for range 3 {
		s.candidates("SELECT x FROM a.b WHERE ", "")
		s.candidates("SELECT x FROM a.b WHERE a", "SELECT x FROM a.b WHERE a")
	}
	if asked != 2 {
		t.Errorf("it asked %d times", asked)
	}
	if s.forget(); len(s.allTables()) != 1 || asked != 3 {
		t.Errorf("after forgetting it asked %d times", asked)
	}
}
