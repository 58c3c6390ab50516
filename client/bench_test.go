//go:build !js

package client_test

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/kalamdb/kalam-go/auth"
	"github.com/kalamdb/kalam-go/client"
)

// The server of both benchmarks answers everything with one row.
func oneRow() *httptest.Server {
	answer := []byte(`{"status":"success","results":[{"schema":[{"name":"id","data_type":"BigInt","index":0,"flags":["pk","nn","uq"]},{"name":"body","data_type":"Text","index":1}],"rows":[["12345","a note of some length, as people write them"]],"row_count":1,"as_user":"alice"}],"took":0.123}`)
	return httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body)
		w.Header().Set("Content-Type", "application/json")
		w.Write(answer)
	}))
}

func BenchmarkQuery(b *testing.B) {
	s := oneRow()
	defer s.Close()
	c, err := client.New(s.URL, auth.Static(auth.JWT(jwt("alice", 1, time.Now(), time.Hour))), client.Options{})
	if err != nil {
		b.Fatal(err)
	}
	defer c.Close()
	ctx := context.Background()
	b.ReportAllocs()
	for b.Loop() {
		row, err := c.QueryRow(ctx, "SELECT * FROM chat.messages WHERE id = $1", 12345)
		if err != nil || row.Int("id") != 12345 {
			b.Fatal(err)
		}
	}
}

// BenchmarkBareHTTP is the yardstick: the same bytes without us.
func BenchmarkBareHTTP(b *testing.B) {
	s := oneRow()
	defer s.Close()
	body := []byte(`{"sql":"SELECT * FROM chat.messages WHERE id = $1","params":[12345]}`)
	token := "Bearer " + jwt("alice", 1, time.Now(), time.Hour)
	h := &http.Client{Transport: &http.Transport{}}
	defer h.CloseIdleConnections()
	b.ReportAllocs()
	for b.Loop() {
		req, err := http.NewRequestWithContext(context.Background(), "POST", s.URL+"/v1/api/sql", bytes.NewReader(body))
		if err != nil {
			b.Fatal(err)
		}
		req.Header.Set("Content-Type", "application/json")
		req.Header.Set("Authorization", token)
		resp, err := h.Do(req)
		if err != nil {
			b.Fatal(err)
		}
		io.Copy(io.Discard, resp.Body)
		resp.Body.Close()
	}
}
