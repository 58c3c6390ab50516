package wire_test

import (
	"encoding/base64"
	"encoding/json"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/kalamdb/kalam-go/wire"
)

func TestTopicBodiesReadBack(t *testing.T) {
	for _, r := range []*wire.ConsumeRequest{
		{Topic: "a.b", Group: "g", Limit: 100},
		{Topic: "a.b", Group: "g", Start: wire.TopicStart{Earliest: true}, Limit: 0, Partition: 3, Timeout: 30},
		{Topic: "a.b", Group: "g", Start: wire.TopicStart{HasOffset: true, Offset: 1<<63 - 1}, Limit: 7, AllPartitions: true, Consumer: "c",
			Acks: []wire.TopicAck{{Partition: 2, Ranges: []wire.TopicRange{{First: 0, Last: 5}, {First: 9, Last: 9}}}, {Partition: 0, Ranges: []wire.TopicRange{{First: 1, Last: 1}}}}},
		{Topic: "a.b", Limit: 5, Peek: true},
	} {
		body := wire.AppendConsumeRequest(nil, r)
		got, err := wire.DecodeConsumeRequest(body)
		if err != nil || !cmp.Equal(got, r) {
			t.Errorf("%s: %v\n%s", body, err, cmp.Diff(r, got))
		}
	}
	for _, r := range []*wire.AckRequest{
		{Topic: "a.b", Group: "g", HasUpTo: true},
		{Topic: "a.b", Group: "g", Partition: 1, Consumer: "c", Ranges: []wire.TopicRange{{First: 3, Last: 4}}, DelayMS: 1500, Unused: true},
	} {
		body := wire.AppendAckRequest(nil, r)
		got, err := wire.DecodeAckRequest(body)
		if err != nil || !cmp.Equal(got, r) {
			t.Errorf("%s: %v\n%s", body, err, cmp.Diff(r, got))
		}
	}
	resp := &wire.ConsumeResponse{Next: 9, HasMore: true, Lease: 60000, Lag: 12}
	for i, payload := range []string{`{"a":1}`, `{"a":12}`, `{"ü":"\u0000€"}`, "", "x"} {
		resp.Messages = append(resp.Messages, wire.TopicMessage{
			Topic: "a.b", Partition: i, Offset: int64(i), Payload: payload, Key: "k", HasKey: i%2 == 0, TimestampMS: 5, User: "u", Op: []string{"insert", "update", "delete"}[i%3], Deliveries: i,
		})
		if !resp.Messages[i].HasKey {
			resp.Messages[i].Key = ""
		}
	}
	body := wire.AppendConsumeResponse(nil, resp)
	got, err := wire.DecodeConsumeResponse(body)
	if err != nil || !cmp.Equal(got, resp) {
		t.Errorf("%s: %v\n%s", body, err, cmp.Diff(resp, got))
	}
	ack := &wire.AckResponse{Success: true, Acknowledged: -1, Lost: []wire.TopicRange{{First: 1, Last: 2}}, Lease: 5}
	if got, err := wire.DecodeAckResponse(wire.AppendAckResponse(nil, ack)); err != nil || !cmp.Equal(got, ack) {
		t.Errorf("%v\n%s", err, cmp.Diff(ack, got))
	}
}

// What a client of KalamDB 0.4 sends, and in the forms that it may have.
func TestConsumeRequestsOfOldClients(t *testing.T) {
	for body, want := range map[string]wire.ConsumeRequest{
		`{"topic_id":"a.b","group_id":"g"}`:                                                      {Topic: "a.b", Group: "g", Limit: 100},
		`{"topic_id":"a.b","group_id":"g","start":"LATEST","limit":10,"partition_id":0}`:         {Topic: "a.b", Group: "g", Limit: 10},
		`{"topic_id":"a.b","group_id":"g","start":{"offset":4},"timeout_seconds":null,"x":[{}]}`: {Topic: "a.b", Group: "g", Limit: 100, Start: wire.TopicStart{HasOffset: true, Offset: 4}},
		`{"topic_id":"a.b","group_id":"g","start":null,"timeout_seconds":30}`:                    {Topic: "a.b", Group: "g", Limit: 100, Timeout: 30},
	} {
		got, err := wire.DecodeConsumeRequest([]byte(body))
		if err != nil || !cmp.Equal(*got, want) {
			t.Errorf("%s: %v %s", body, err, cmp.Diff(&want, got))
		}
	}
}

func TestTopicErrorsOfEitherFamily(t *testing.T) {
	for body, want := range map[string]*wire.Error{
		`{"error":"no","code":"NOT_FOUND"}`: {Code: "NOT_FOUND", Message: "no"},
		`{"status":"error","results":[],"took":0.1,"error":{"code":"TOKEN_EXPIRED","message":"Invalid credentials"}}`: {Code: "TOKEN_EXPIRED", Message: "Invalid credentials"},
		`<html>`:         nil,
		`{"error":"no"}`: nil,
	} {
		if got := wire.DecodeTopicError([]byte(body)); !cmp.Equal(got, want) {
			t.Errorf("%s: %v", body, got)
		}
	}
}

func FuzzDecodeTopics(f *testing.F) {
	f.Add([]byte(`{"topic_id":"a.b","group_id":"g","start":{"Offset":1},"acks":[{"partition_id":1,"ranges":[[1,2]]}],"upto_offset":5}`))
	f.Add([]byte(`{"messages":[{"topic_id":"a.b","partition_id":0,"offset":0,"payload":"eyJhIjoxfQ==","key":null,"timestamp_ms":1,"op":"Insert"}],"next_offset":1,"has_more":false}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		if r, err := wire.DecodeConsumeRequest(b); err == nil {
			body := wire.AppendConsumeRequest(nil, r)
			if again, err := wire.DecodeConsumeRequest(body); err != nil || string(wire.AppendConsumeRequest(nil, again)) != string(body) {
				t.Fatalf("%s: %v", body, err)
			}
		}
		if r, err := wire.DecodeAckRequest(b); err == nil {
			body := wire.AppendAckRequest(nil, r)
			if again, err := wire.DecodeAckRequest(body); err != nil || string(wire.AppendAckRequest(nil, again)) != string(body) {
				t.Fatalf("%s: %v", body, err)
			}
		}
		if r, err := wire.DecodeConsumeResponse(b); err == nil {
			out := wire.AppendConsumeResponse(nil, r)
			var in struct {
				Messages []struct{ Payload string }
			}
			if err := json.Unmarshal(out, &in); err != nil {
				t.Fatalf("not JSON: %s", out)
			}
			for i, m := range in.Messages {
				if p, err := base64.StdEncoding.DecodeString(m.Payload); err != nil || string(p) != r.Messages[i].Payload {
					t.Fatalf("payload %q: %v", m.Payload, err)
				}
			}
		}
		wire.DecodeAckResponse(b)
		wire.DecodeTopicError(b)
	})
}
