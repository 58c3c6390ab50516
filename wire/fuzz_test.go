package wire_test

import (
	"bytes"
	"encoding/json"
	"testing"

	"github.com/kalamdb/kalam-go/wire"
)

func seeds(f *testing.F, prefix string) {
	for _, b := range golden(f, prefix) {
		f.Add(b)
	}
	f.Add([]byte(`{"a":[1,2,{"b":null}],"c":"\ud83c\udf89"}`))
}

// checkStable fails when what was decoded is not JSON once encoded, or does not
// decode to the same bytes again.
func checkStable(t *testing.T, once []byte, again func([]byte) ([]byte, error)) {
	if !json.Valid(once) {
		t.Fatalf("not JSON: %s", once)
	}
	twice, err := again(once)
	if err != nil {
		t.Fatalf("%v: %s", err, once)
	}
	if !bytes.Equal(once, twice) {
		t.Fatalf("unstable:\n%s\n%s", once, twice)
	}
}

func FuzzDecodeRequest(f *testing.F) {
	seeds(f, "request_")
	f.Fuzz(func(t *testing.T, b []byte) {
		again := func(b []byte) ([]byte, error) {
			v, err := wire.DecodeRequest(b)
			if err != nil {
				return nil, err
			}
			return wire.AppendRequest(nil, v), nil
		}
		once, err := again(b)
		if err != nil {
			return
		}
		if !json.Valid(b) {
			t.Fatalf("accepted what is not JSON: %q", b)
		}
		checkStable(t, once, again)
	})
}

func FuzzDecodeResponse(f *testing.F) {
	seeds(f, "response_")
	f.Fuzz(func(t *testing.T, b []byte) {
		v, err := wire.DecodeResponse(b)
		if err != nil {
			return
		}
		if out := wire.AppendResponse(nil, v); !json.Valid(out) {
			t.Fatalf("not JSON: %s", out)
		}
	})
}

func FuzzDecodeClientFrame(f *testing.F) {
	seeds(f, "client_")
	f.Fuzz(func(t *testing.T, b []byte) {
		again := func(b []byte) ([]byte, error) {
			v, err := wire.DecodeClientFrame(b)
			if err != nil {
				return nil, err
			}
			return wire.AppendClientFrame(nil, v), nil
		}
		once, err := again(b)
		if err != nil {
			return
		}
		checkStable(t, once, again)
	})
}

func FuzzDecodeServerFrame(f *testing.F) {
	seeds(f, "server_")
	schema := ackSchema(f)
	f.Fuzz(func(t *testing.T, b []byte) {
		v, err := wire.DecodeServerFrame(b)
		if err != nil {
			return
		}
		wire.TypeRows(schema, v.Rows)
		wire.TypeRows(schema, v.OldValues)
		if v.Type != "subscription_ack" {
			v.Schema = schema
		}
		if out := wire.AppendServerFrame(nil, v); !json.Valid(out) {
			t.Fatalf("not JSON: %s", out)
		}
	})
}
