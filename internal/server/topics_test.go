package server_test

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/kalamdb/kalam-go/internal/config"
	"github.com/kalamdb/kalam-go/internal/servertest"
)

// withTopic makes shop.log, a topic of all changes of shop.orders.
func withTopic(t testing.TB, s *servertest.Server) (admin string) {
	admin = mint(t, "admin")
	for _, sql := range []string{
		"CREATE NAMESPACE shop", "CREATE SHARED TABLE shop.orders (id BIGINT PRIMARY KEY, item TEXT, n INT)",
		"CREATE TOPIC shop.log",
		"ALTER TOPIC shop.log ADD SOURCE shop.orders ON INSERT",
		"ALTER TOPIC shop.log ADD SOURCE shop.orders ON UPDATE WITH (payload = 'diff')",
		"ALTER TOPIC shop.log ADD SOURCE shop.orders ON DELETE WITH (payload = 'key')",
	} {
		run(t, s, admin, sql)
	}
	return admin
}

func topicPost(t testing.TB, s *servertest.Server, token, route, body string) answer {
	return post(t, s.URL+"/v1/api/topics/"+route, token, body)
}

type consumed struct {
	Messages []struct {
		Topic     string  `json:"topic_id"`
		Partition int     `json:"partition_id"`
		Offset    int     `json:"offset"`
		Payload   string  `json:"payload"`
		Key       *string `json:"key"`
		Timestamp int64   `json:"timestamp_ms"`
		User      *string `json:"user"`
		Op        string  `json:"op"`
		Count     int     `json:"delivery_count"`
	}
	Next    int  `json:"next_offset"`
	HasMore bool `json:"has_more"`
}

func consume(t testing.TB, s *servertest.Server, token, body string) consumed {
	t.Helper()
	a := topicPost(t, s, token, "consume", body)
	var c consumed
	if err := json.Unmarshal([]byte(a.body), &c); err != nil || a.status != 200 {
		t.Fatalf("%d %s: %v", a.status, a.body, err)
	}
	wantJSON(t, a)
	return c
}

// payloads are the decoded payloads, one a line, with what differs from run to
// run taken out.
func (c consumed) payloads(t testing.TB) string {
	var lines []string
	for _, m := range c.Messages {
		b, err := base64.StdEncoding.DecodeString(m.Payload)
		if err != nil {
			t.Fatal(err)
		}
		var in map[string]any
		if err := json.Unmarshal(b, &in); err != nil {
			t.Fatalf("%s: %v", b, err)
		}
		if in["_seq"] != nil {
			in["_seq"] = "S"
		}
		b, _ = json.Marshal(in)
		key := "-"
		if m.Key != nil {
			key = *m.Key
		}
		lines = append(lines, fmt.Sprintf("%d %s %s %s", m.Offset, m.Op, key, b))
	}
	return strings.Join(lines, "\n")
}

func TestConsumeGivesWhatChanged(t *testing.T) {
	s := start(t)
	admin := withTopic(t, s)
	run(t, s, admin, "INSERT INTO shop.orders VALUES (1, 'tea', 2), (2, 'milk', NULL)")
	run(t, s, admin, "UPDATE shop.orders SET n = 3 WHERE id = 1")
	run(t, s, admin, "UPDATE shop.orders SET id = 9 WHERE id = 2")
	run(t, s, admin, "DELETE FROM shop.orders WHERE id = 1")

	c := consume(t, s, admin, `{"topic_id":"shop.log","group_id":"g","start":"earliest","limit":2}`)
	if len(c.Messages) != 2 || c.Next != 2 || !c.HasMore {
		t.Fatalf("%+v", c)
	}
	if m := c.Messages[0]; m.Topic != "shop.log" || m.Partition != 0 || m.User == nil || *m.User != "admin" || m.Count != 1 ||
		time.Since(time.UnixMilli(m.Timestamp)).Abs() > time.Hour {
		t.Errorf("%+v", m)
	}
	got := c.payloads(t)
	c = consume(t, s, admin, `{"topic_id":"shop.log","group_id":"g","start":{"Offset":0},"unknown":[1]}`)
	if c.HasMore || c.Next != 6 {
		t.Errorf("%+v", c)
	}
	got += "\n" + c.payloads(t)
	want := `0 Insert 1 {"_deleted":false,"_seq":"S","_table":"shop.orders","id":"1","item":"tea","n":2}
1 Insert 2 {"_deleted":false,"_seq":"S","_table":"shop.orders","id":"2","item":"milk","n":null}
2 Update 1 {"_deleted":false,"_old":{"n":2},"_seq":"S","_table":"shop.orders","id":"1","n":3}
3 Delete 2 {"id":"2"}
4 Insert 9 {"_deleted":false,"_seq":"S","_table":"shop.orders","id":"9","item":"milk","n":null}
5 Delete 1 {"id":"1"}`
	if got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}

	// The answer to an acknowledgement is what old clients know, and one beyond
	// what was delivered is refused.
	if a := topicPost(t, s, admin, "ack", `{"topic_id":"shop.log","group_id":"g","upto_offset":5}`); a.status != 200 || a.body != `{"success":true,"acknowledged_offset":5}` {
		t.Errorf("%d %s", a.status, a.body)
	}
	if a := topicPost(t, s, admin, "ack", `{"topic_id":"shop.log","group_id":"g","upto_offset":3}`); a.status != 200 || a.body != `{"success":true,"acknowledged_offset":3}` {
		t.Errorf("%d %s", a.status, a.body)
	}
	if c := consume(t, s, admin, `{"topic_id":"shop.log","group_id":"g"}`); len(c.Messages) != 0 || c.Next != 6 || c.HasMore {
		t.Errorf("%+v", c)
	}
}

func TestTopicRoutesRefuse(t *testing.T) {
	s := start(t)
	admin := withTopic(t, s)
	run(t, s, admin, "CREATE USER svc WITH PASSWORD 'correct-horse' ROLE service")
	run(t, s, admin, "INSERT INTO shop.orders VALUES (1, 'tea', 2)")
	consume(t, s, admin, `{"topic_id":"shop.log","group_id":"g"}`)
	svc, alice := mint(t, "svc"), mint(t, "alice")
	for _, c := range []struct {
		route, token, body string
		status             int
		code               string
	}{
		{"consume", admin, `{"topic_id":"shop.nope","group_id":"g"}`, 404, "NOT_FOUND"},
		{"consume", admin, `{"topic_id":"nope","group_id":"g"}`, 404, "NOT_FOUND"},
		{"consume", admin, `{"topic_id":"shop.log","group_id":"g","partition_id":1}`, 400, "INVALID_PARTITION"},
		{"consume", admin, `{"topic_id":"shop.log","group_id":"g","partition_id":-1}`, 400, "INVALID_INPUT"},
		{"consume", admin, `{"topic_id":"shop.log","group_id":"g","start":{"Offset":-1}}`, 400, "INVALID_INPUT"},
		{"consume", admin, `{"topic_id":"shop.log","group_id":"g","start":{"Offset":99999999999999999999}}`, 400, "INVALID_INPUT"},
		{"consume", admin, `{"topic_id":"shop.log","group_id":"g","start":"middle"}`, 400, "INVALID_INPUT"},
		{"consume", admin, `{"topic_id":"shop.log","group_id":"g","limit":-5}`, 400, "INVALID_INPUT"},
		{"consume", admin, `{"topic_id":"shop.log","group_id":" "}`, 400, "INVALID_INPUT"},
		{"consume", admin, `{"group_id":"g"}`, 400, "INVALID_INPUT"},
		{"consume", admin, `{"topic_id":"shop.log","group_id":"` + strings.Repeat("g", 300) + `"}`, 400, "INVALID_INPUT"},
		{"consume", admin, `{"topic_id":`, 400, "INVALID_INPUT"},
		{"consume", admin, ``, 400, "INVALID_INPUT"},
		{"consume", alice, `{"topic_id":"shop.log","group_id":"g"}`, 403, "FORBIDDEN"},
		{"consume", alice, `{"topic_id":"shop.nope","group_id":"g"}`, 403, "FORBIDDEN"},
		{"consume", svc, `{"topic_id":"shop.log","group_id":"g"}`, 403, "FORBIDDEN"},
		{"ack", svc, `{"topic_id":"shop.log","group_id":"g","upto_offset":0}`, 403, "FORBIDDEN"},
		{"ack", alice, `{"topic_id":"shop.log","group_id":"g","upto_offset":0}`, 403, "FORBIDDEN"},
		{"ack", admin, `{"topic_id":"shop.log","group_id":"other","upto_offset":0}`, 404, "NOT_FOUND"},
		{"ack", admin, `{"topic_id":"shop.log","group_id":"g","upto_offset":1}`, 409, "OFFSET_NOT_DELIVERED"},
		{"ack", admin, `{"topic_id":"shop.log","group_id":"g","upto_offset":9223372036854775807}`, 409, "OFFSET_NOT_DELIVERED"},
		{"ack", admin, `{"topic_id":"shop.log","group_id":"g","upto_offset":-1}`, 400, "INVALID_INPUT"},
		{"ack", admin, `{"topic_id":"shop.log","group_id":"g","partition_id":4,"upto_offset":0}`, 400, "INVALID_PARTITION"},
		{"ack", admin, `{"topic_id":"shop.log","group_id":"g"}`, 400, "INVALID_INPUT"},
		{"ack", admin, `{"topic_id":"shop.log","group_id":"g","ranges":[[5,2]]}`, 400, "INVALID_INPUT"},
		{"nack", admin, `{"topic_id":"shop.log","group_id":"g","upto_offset":0}`, 400, "INVALID_INPUT"},
		{"extend", admin, `{"topic_id":"shop.log","group_id":"g","ranges":[[0,7]]}`, 409, "OFFSET_NOT_DELIVERED"},
	} {
		a := topicPost(t, s, c.token, c.route, c.body)
		in := a.json(t)
		if a.status != c.status || in["code"] != c.code || in["error"] == "" || len(in) != 2 {
			t.Errorf("%s %s: got %d %s, want %d %s", c.route, c.body, a.status, a.body, c.status, c.code)
		}
		wantJSON(t, a)
	}
	// Without a token, and with another method, in the family of the route.
	wantError(t, topicPost(t, s, "", "consume", `{}`), 401, "MISSING_AUTHORIZATION", "")
	if a := do(t, "GET", s.URL+"/v1/api/topics/consume", nil); a.status != 405 || a.json(t)["code"] != "METHOD_NOT_ALLOWED" {
		t.Errorf("%d %s", a.status, a.body)
	}
	if m := topicPost(t, s, alice, "consume", `{"topic_id":"shop.log","group_id":"g"}`).json(t)["error"].(string); !strings.Contains(m, "service, dba, or system") {
		t.Errorf("the refusal of a user does not name the roles: %s", m)
	}
	run(t, s, admin, "GRANT CONSUME ON TOPIC shop.log TO USER svc")
	if c := consume(t, s, svc, `{"topic_id":"shop.log","group_id":"fresh","start":"Earliest"}`); len(c.Messages) != 1 {
		t.Errorf("%+v", c)
	}
}

// waitIn starts a poll that waits, and returns once the server has it.
func waitIn(t testing.TB, s *servertest.Server, token, body string) chan answer {
	out := make(chan answer, 1)
	go func() { out <- topicPost(t, s, token, "consume", body) }()
	return out
}

func receive(t testing.TB, c chan answer) answer {
	t.Helper()
	select {
	case a := <-c:
		return a
	case <-time.After(60 * time.Second):
		t.Fatal("the poll did not end")
		return answer{}
	}
}

func TestConsumeWaitsForAMessage(t *testing.T) {
	s := start(t)
	admin := withTopic(t, s)
	const poll = `{"topic_id":"shop.log","group_id":"g","consumer_id":"c","timeout_seconds":50}`
	consume(t, s, admin, `{"topic_id":"shop.log","group_id":"g"}`)
	first, second := waitIn(t, s, admin, poll), waitIn(t, s, admin, poll)
	run(t, s, admin, "INSERT INTO shop.orders VALUES (1, 'tea', 2)")
	var got answer
	rest := second
	select {
	case got = <-first:
	case got = <-second:
		rest = first
	case <-time.After(60 * time.Second):
		t.Fatal("nobody was woken")
	}
	if !strings.Contains(got.body, `"offset":0`) {
		t.Fatalf("%d %s", got.status, got.body)
	}
	// The other one still waits, for the next message.
	run(t, s, admin, "INSERT INTO shop.orders VALUES (2, 'milk', 2)")
	if got := receive(t, rest); !strings.Contains(got.body, `"offset":1`) {
		t.Fatalf("%d %s", got.status, got.body)
	}
	// A poll that ends says where the group is, without a message.
	if c := consume(t, s, admin, `{"topic_id":"shop.log","group_id":"g","consumer_id":"c","timeout_seconds":1}`); len(c.Messages) != 0 || c.Next != 2 {
		t.Errorf("%+v", c)
	}
}

func TestConsumeIsCheckedAgainWhenItWakes(t *testing.T) {
	s := start(t)
	admin := withTopic(t, s)
	run(t, s, admin, "CREATE USER svc WITH PASSWORD 'correct-horse' ROLE service")
	run(t, s, admin, "GRANT CONSUME ON TOPIC shop.log TO USER svc")
	svc := mint(t, "svc")
	consume(t, s, svc, `{"topic_id":"shop.log","group_id":"g"}`)
	waiting := waitIn(t, s, svc, `{"topic_id":"shop.log","group_id":"g","consumer_id":"c","timeout_seconds":50}`)
	run(t, s, admin, "REVOKE CONSUME ON TOPIC shop.log FROM USER svc")
	run(t, s, admin, "INSERT INTO shop.orders VALUES (1, 'tea', 2)")
	if a := receive(t, waiting); a.status != 403 || strings.Contains(a.body, "payload") {
		t.Errorf("%d %s", a.status, a.body)
	}
	if a := topicPost(t, s, svc, "consume", `{"topic_id":"shop.log","group_id":"g"}`); a.status != 403 {
		t.Errorf("%d %s", a.status, a.body)
	}
}

func TestGroupsSurviveARestart(t *testing.T) {
	s := start(t)
	admin := withTopic(t, s)
	consume(t, s, admin, `{"topic_id":"shop.log","group_id":"late"}`) // from here on
	run(t, s, admin, "INSERT INTO shop.orders VALUES (1, 'tea', 2), (2, 'milk', 2)")
	if c := consume(t, s, admin, `{"topic_id":"shop.log","group_id":"g","start":"Earliest","limit":1,"consumer_id":"a"}`); len(c.Messages) != 1 {
		t.Fatalf("%+v", c)
	}
	s.Close()
	s = servertest.Start(t, servertest.Options{Dir: s.Dir, Config: func(c *config.Config) { c.Auth.JWTSecret = secret }})
	if c := consume(t, s, admin, `{"topic_id":"shop.log","group_id":"late"}`); len(c.Messages) != 2 {
		t.Errorf("a group that began at the end has lost its place: %+v", c)
	}
	// Message 0 is still with consumer a.
	if c := consume(t, s, admin, `{"topic_id":"shop.log","group_id":"g","consumer_id":"b"}`); len(c.Messages) != 1 || c.Messages[0].Offset != 1 {
		t.Errorf("%+v", c)
	}
	if a := topicPost(t, s, admin, "ack", `{"topic_id":"shop.log","group_id":"g","consumer_id":"a","ranges":[[0,0]]}`); a.body != `{"success":true,"acknowledged_offset":0}` {
		t.Errorf("%d %s", a.status, a.body)
	}
}

func TestPayloadOverTheLimitRefusesTheChange(t *testing.T) {
	s := start(t, func(c *config.Config) { c.Topics.MaxPayloadBytes = 1000 })
	admin := withTopic(t, s)
	wantError(t, query(t, s, admin, "INSERT INTO shop.orders VALUES (1, $1, 1)", strings.Repeat("x", 1000)), 400, "PAYLOAD_TOO_LARGE", "shop.log")
	if got := rows(t, run(t, s, admin, "SELECT count(*) FROM shop.orders")); got != `[["0"]]` {
		t.Errorf("the row is there: %s", got)
	}
	run(t, s, admin, "INSERT INTO shop.orders VALUES (1, $1, 1)", strings.Repeat("x", 800))
}
