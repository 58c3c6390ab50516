package engine_test

import (
	"context"
	"strings"
	"testing"

	"github.com/kalamdb/kalam-go/wire"
)

// What a worker writes and what it acknowledges in one transaction is there
// together or not at all.
func TestAckIsPartOfTheTransaction(t *testing.T) {
	e := open(t)
	run := func(sql string) string { return strings.Join(answer(e, root, sql), "\n") }
	for _, sql := range []string{
		"CREATE NAMESPACE app", "CREATE SHARED TABLE app.a (id INT PRIMARY KEY)", "CREATE SHARED TABLE app.b (id INT PRIMARY KEY)",
		"CREATE TOPIC app.log", "ALTER TOPIC app.log ADD SOURCE app.a ON INSERT", "INSERT INTO app.a VALUES (1), (2)",
	} {
		if got := run(sql); strings.HasPrefix(got, "!") {
			t.Fatalf("%s: %s", sql, got)
		}
	}
	const place = "SELECT last_acked_offset, pending, lag FROM system.topic_offsets"
	work := "CONSUME FROM app.log GROUP 'g' FROM EARLIEST; INSERT INTO app.b VALUES (1); ACK app.log GROUP 'g' UPTO OFFSET 1; "
	if got := run("BEGIN; " + work + "ROLLBACK"); strings.HasPrefix(got, "!") {
		t.Fatal(got)
	}
	if got := run(place); got != "(no rows)" {
		t.Errorf("after the rollback: %s", got)
	}
	if got := run("BEGIN; " + work + "INSERT INTO app.b VALUES (1); COMMIT"); !strings.HasPrefix(got, "! UNIQUE_VIOLATION") {
		t.Fatal(got)
	}
	if got := run(place); got != "(no rows)" {
		t.Errorf("after the failure: %s", got)
	}
	if got := run("BEGIN; " + work + "COMMIT"); strings.HasPrefix(got, "!") {
		t.Fatal(got)
	}
	if got := run(place); got != `"1" | "0" | "0"` {
		t.Errorf("after the commit: %s", got)
	}
	// The answer to CONSUME has the columns that clients know.
	results, err := e.Run(context.Background(), root, &wire.Request{SQL: "CONSUME FROM app.log FROM EARLIEST LIMIT 1"})
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, f := range results[0].Schema {
		names = append(names, f.Name+" "+f.Type.Kind.String())
	}
	if got := strings.Join(names, ", "); got != "topic_id Text, partition_id Int, offset BigInt, key Text, payload Bytes, timestamp_ms BigInt, user_id Text, op Text" {
		t.Errorf("got %s", got)
	}
	row := results[0].Rows[0]
	if row[0].Text() != "app.log" || row[2].Int() != 0 || row[3].Text() != "1" || row[7].Text() != "insert" || !strings.HasPrefix(row[4].Raw(), `{"id":1,"_seq":"`) {
		t.Errorf("got %v", row)
	}
}
