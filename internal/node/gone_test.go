package node_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/kalamdb/kalam-go/auth"
	"github.com/kalamdb/kalam-go/client"
	"github.com/kalamdb/kalam-go/internal/config"
	"github.com/kalamdb/kalam-go/internal/servertest"
)

// TestClientThatGoesAwayStopsItsQuery closes a connection in the middle of a
// read that would take an hour. The server counts one request less then.
func TestClientThatGoesAwayStopsItsQuery(t *testing.T) {
	s := servertest.Start(t, servertest.Options{Config: func(c *config.Config) { c.Limits.StatementTimeout = 3600 }})
	db, err := client.New(s.URL, auth.Static(auth.Basic("admin", servertest.Password)), client.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	running := func(n string) {
		t.Helper()
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		for got := ""; got != n; {
			if got = pairs(t, db, "SELECT metric_name, metric_value FROM system.stats WHERE metric_name = 'running_requests'")["running_requests"]; ctx.Err() != nil {
				t.Fatalf("%s requests are running, want %s", got, n)
			}
		}
	}
	const sql = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 - i FROM n) SELECT count(*) FROM n"
	body := fmt.Sprintf(`{"sql": %q}`, sql)
	res, err := http.Post(s.URL+"/v1/api/auth/login", "application/json", strings.NewReader(`{"user": "alice", "password": "`+servertest.Password+`"}`))
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	var in struct {
		Token string `json:"access_token"`
	}
	if err := json.NewDecoder(res.Body).Decode(&in); err != nil || in.Token == "" {
		t.Fatalf("log in: %v", err)
	}
	conn, err := net.Dial("tcp", fmt.Sprintf("localhost:%d", s.Port))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	fmt.Fprintf(conn, "POST /v1/api/sql HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer %s\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s",
		in.Token, len(body), body)
	running("2") // this one and the count
	conn.Close()
	running("1")
}
