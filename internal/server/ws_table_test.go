package server_test

import (
	"strings"
	"testing"
)

func TestDroppedTableEndsItsSubscriptions(t *testing.T) {
	s := start(t)
	alice := mint(t, "alice")
	run(t, s, alice, "CREATE TABLE chat.gone (id INT PRIMARY KEY) WITH (TYPE='USER')")
	k := open(t, s, "alice")
	k.subscribe("a", "SELECT * FROM chat.gone", "{}")
	k.snapshot("a")
	k.subscribe("b", "SELECT id FROM chat.messages", "")
	k.want("subscription_ack")
	run(t, s, alice, "DROP TABLE chat.gone")
	k.wantError("a", "NOT_FOUND")
	run(t, s, alice, "INSERT INTO chat.messages (id, body) VALUES (7, 'x')")
	if got := k.change(); got != "insert 7" {
		t.Errorf("got %s", got)
	}
}

func TestTableMadeAnewStartsItsSubscriptionsAgain(t *testing.T) {
	s := start(t)
	alice := mint(t, "alice")
	run(t, s, alice, "CREATE TABLE chat.again (id INT PRIMARY KEY, a TEXT) WITH (TYPE='USER'); INSERT INTO chat.again VALUES (1, 'x')")
	k := open(t, s, "alice")
	k.subscribe("a", "SELECT * FROM chat.again", "{}")
	k.snapshot("a")
	// In one request, so that the table is never seen to be away.
	run(t, s, alice, "DROP TABLE chat.again; CREATE TABLE chat.again (id INT PRIMARY KEY, b INT) WITH (TYPE='USER'); INSERT INTO chat.again VALUES (2, 5)")
	f := k.next()
	if f.Type == "error" {
		if f.Code != "NOT_FOUND" {
			t.Errorf("got %s", f.raw)
		}
		return // it was seen after all
	}
	if f.Type != "subscription_ack" || !f.Reset || !strings.Contains(f.raw, `{"name":"b","data_type":"Int"`) {
		t.Fatalf("got %s", f.raw)
	}
	if f := k.want("initial_data_batch"); column(f.Rows, "b") != "5" && len(f.Rows) > 0 {
		t.Errorf("got %s", f.raw)
	}
}

func TestAlteredTableStartsItsSubscriptionsAgain(t *testing.T) {
	s := start(t)
	alice := mint(t, "alice")
	run(t, s, alice, "CREATE TABLE chat.wide (id INT PRIMARY KEY, a TEXT) WITH (TYPE='USER'); INSERT INTO chat.wide VALUES (1, 'x')")
	if a := query(t, s, alice, "ALTER TABLE chat.wide ADD COLUMN b INT DEFAULT 5"); a.status != 200 {
		if _, code, _ := failure(t, a); code != "UNSUPPORTED_STATEMENT" {
			t.Fatalf("%d %s", a.status, a.body)
		}
		return // the language has no ALTER TABLE
	}
	k := open(t, s, "alice")
	k.subscribe("a", "SELECT * FROM chat.wide", "{}")
	_, _, position := k.snapshot("a")
	run(t, s, alice, "INSERT INTO chat.wide VALUES (2, 'y', 6)")
	if got := k.change(); got != "insert 2" {
		t.Errorf("got %s", got)
	}
	run(t, s, alice, "ALTER TABLE chat.wide ADD COLUMN c TEXT; INSERT INTO chat.wide (id, c) VALUES (3, 'new')")
	f := k.want("subscription_ack")
	if !f.Reset || !strings.Contains(f.raw, `{"name":"c","data_type":"Text"`) {
		t.Fatalf("got %s", f.raw)
	}
	rows := k.want("initial_data_batch").Rows
	if len(rows) == 2 {
		rows = append(rows, k.wantChange("a", "insert").Rows...)
	}
	if column(rows, "id") != "1 2 3" || column(rows, "c") != "<nil> <nil> new" {
		t.Errorf("got %v", rows)
	}
	// Who was away during the change learns of it too.
	k = open(t, s, "alice")
	k.subscribe("a", "SELECT * FROM chat.wide", `{"from":`+position+`}`)
	for {
		f := k.next()
		if f.Reset {
			break
		}
		if f.Type == "change" {
			t.Fatalf("got %s", f.raw)
		}
	}
	if rows := k.want("initial_data_batch").Rows; column(rows, "c") != "<nil> <nil> new" {
		t.Errorf("got %v", rows)
	}
}

func TestPagesOfLargeRowsAreSmall(t *testing.T) {
	s := start(t)
	alice := mint(t, "alice")
	fill(t, s, alice, 0)
	for i := range 40 {
		run(t, s, alice, "INSERT INTO chat.messages (id, body) VALUES ($1, $2)", i, strings.Repeat("x", 100_000))
	}
	k := dial(t, s, "?compress=false")
	k.authenticate(alice, "{}")
	k.want("auth_success")
	k.subscribe("a", "SELECT id, body FROM chat.messages", "{}")
	k.want("subscription_ack")
	rows := 0
	for {
		f := k.want("initial_data_batch")
		if len(f.raw) > 1_500_000 {
			t.Errorf("a batch of %d bytes", len(f.raw))
		}
		if rows += len(f.Rows); !f.Control.HasMore {
			break
		}
	}
	if rows != 40 {
		t.Errorf("got %d rows", rows)
	}
}

func TestTextThatIsNotUTF8EndsTheSocket(t *testing.T) {
	s := start(t)
	k := open(t, s, "alice")
	k.send("{\"type\":\"ping\",\"pad\":\"\xff\"}")
	f, err := k.read()
	if err == nil && (f.Type != "error" || f.Code != "PROTOCOL") {
		t.Errorf("got %s", f.raw)
	}
	if err == nil {
		k.wantClose(1011, "")
	}
}
