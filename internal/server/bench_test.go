package server_test

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/kalamdb/kalam-go/internal/live"
	"github.com/kalamdb/kalam-go/internal/server"
	"github.com/kalamdb/kalam-go/internal/store"
)

// The statements of these benchmarks come over HTTP, 16 at a time. make profile
// runs them to learn what the compiler should make fast.

func BenchmarkPointSelect(b *testing.B) {
	benchSQL(b, func(n int64) string {
		return fmt.Sprintf(`{"sql":"SELECT id, body FROM chat.messages WHERE id = $1","params":[%d]}`, 1+n%1000)
	})
}

func BenchmarkInsert(b *testing.B) {
	benchSQL(b, func(n int64) string {
		return fmt.Sprintf(`{"sql":"INSERT INTO chat.messages (id, body) VALUES ($1, $2)","params":[%d,"a message of an ordinary length, as people write them"]}`, 1000+n)
	})
}

func benchSQL(b *testing.B, body func(n int64) string) {
	s := startEdge(b, store.Options{}, live.Options{}, server.Options{})
	token := mint(b, "alice")
	rows := make([]string, 1000)
	for i := range rows {
		rows[i] = fmt.Sprintf("(%d,'a message of an ordinary length')", i+1)
	}
	h := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 16}}
	defer h.CloseIdleConnections()
	post := func(body string) {
		req, err := http.NewRequest("POST", s.URL+"/v1/api/sql", bytes.NewReader([]byte(body)))
		if err != nil {
			b.Error(err)
			return
		}
		req.Header.Set("Content-Type", "application/json")
		req.Header.Set("Authorization", "Bearer "+token)
		resp, err := h.Do(req)
		if err != nil {
			b.Error(err)
			return
		}
		answer, err := io.ReadAll(resp.Body)
		resp.Body.Close()
		if err != nil || resp.StatusCode != 200 {
			b.Errorf("%d %s %v", resp.StatusCode, answer, err)
		}
	}
	post(`{"sql":"INSERT INTO chat.messages (id, body) VALUES ` + strings.Join(rows, ",") + `"}`)
	var next atomic.Int64
	b.SetParallelism(8)
	b.ReportAllocs()
	b.ResetTimer()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			post(body(next.Add(1)))
		}
	})
}
