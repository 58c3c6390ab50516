package wire_test

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/kalamdb/kalam-go/wire"
)

// golden gives the frames in testdata whose file name begins with prefix.
func golden(t testing.TB, prefix string) map[string][]byte {
	t.Helper()
	files, err := filepath.Glob(filepath.Join("testdata", prefix+"*.json"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no golden files for %s: %v", prefix, err)
	}
	out := map[string][]byte{}
	for _, f := range files {
		b, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		out[strings.TrimSuffix(filepath.Base(f), ".json")] = bytes.TrimSpace(b)
	}
	return out
}

func ackSchema(t testing.TB) []wire.Field {
	t.Helper()
	f, err := wire.DecodeServerFrame(golden(t, "server_subscription_ack")["server_subscription_ack"])
	if err != nil {
		t.Fatal(err)
	}
	return f.Schema
}

// TestGoldenRoundTrip decodes every golden frame and encodes it again.
func TestGoldenRoundTrip(t *testing.T) {
	schema := ackSchema(t)
	again := map[string]func(b []byte) ([]byte, error){
		"request_": func(b []byte) ([]byte, error) {
			v, err := wire.DecodeRequest(b)
			if err != nil {
				return nil, err
			}
			return wire.AppendRequest(nil, v), nil
		},
		"response_": func(b []byte) ([]byte, error) {
			v, err := wire.DecodeResponse(b)
			if err != nil {
				return nil, err
			}
			return wire.AppendResponse(nil, v), nil
		},
		"client_": func(b []byte) ([]byte, error) {
			v, err := wire.DecodeClientFrame(b)
			if err != nil {
				return nil, err
			}
			return wire.AppendClientFrame(nil, v), nil
		},
		"server_": func(b []byte) ([]byte, error) {
			v, err := wire.DecodeServerFrame(b)
			if err != nil {
				return nil, err
			}
			if v.Type != "subscription_ack" {
				wire.TypeRows(schema, v.Rows)
				wire.TypeRows(schema, v.OldValues)
				v.Schema = schema
			}
			return wire.AppendServerFrame(nil, v), nil
		},
		"login_request": func(b []byte) ([]byte, error) {
			v, err := wire.DecodeLoginRequest(b)
			if err != nil {
				return nil, err
			}
			return wire.AppendLoginRequest(nil, v), nil
		},
		"login_response": func(b []byte) ([]byte, error) {
			v, err := wire.DecodeLoginResponse(b)
			if err != nil {
				return nil, err
			}
			return wire.AppendLoginResponse(nil, v), nil
		},
		"auth_error": func(b []byte) ([]byte, error) {
			return wire.AppendAuthError(nil, wire.DecodeAuthError(b)), nil
		},
	}
	for prefix, fn := range again {
		for name, b := range golden(t, prefix) {
			got, err := fn(b)
			if err != nil {
				t.Errorf("%s: %v", name, err)
				continue
			}
			if !bytes.Equal(got, b) {
				t.Errorf("%s:\n got %s\nwant %s", name, got, b)
			}
		}
	}
}

// TestTypedCells checks that the cells of a golden row have the forms of their
// types, in an answer and in a frame alike.
func TestTypedCells(t *testing.T) {
	want := map[string]wire.Value{
		"id": wire.IntValue(9223372036854775807),
		"b":  wire.BoolValue(true),
		"si": wire.IntValue(-32768),
		"i":  wire.IntValue(2147483647),
		"f":  wire.FloatValue(1.5),
		"d":  wire.FloatValue(0.1),
		"t":  wire.TextValue("grüße \"x\" \\ \n\t\x01 🎉"),
		"ts": wire.IntValue(1735689600000000),
		"da": wire.IntValue(20089),
		"dt": wire.IntValue(-1),
		"ti": wire.IntValue(86399999999),
		"j":  wire.TextValue(`{"a":[1,2]}`),
		"by": wire.BytesValue([]byte{0, 127, 255}),
		"e":  wire.EmbeddingValue([]float32{0.1, -1, 1e-7}),
		"u":  wire.TextValue("01890a5d-ac96-774b-bcce-b302099a8057"),
		"de": wire.TextValue("-0.50"),
		"fi": wire.TextValue(`{"id":"1"}`),
	}
	resp, err := wire.DecodeResponse(golden(t, "response_select")["response_select"])
	if err != nil {
		t.Fatal(err)
	}
	schema := resp.Results[0].Schema
	for i, f := range schema {
		if got := resp.Results[0].Rows[0][i]; got != want[f.Name] {
			t.Errorf("answer %s: got %v %q, want %v", f.Name, got.Tag(), got.Raw(), want[f.Name])
		}
		if got := resp.Results[0].Rows[1][i]; !got.IsNull() {
			t.Errorf("answer %s: got %v, want NULL", f.Name, got)
		}
	}
	frame, err := wire.DecodeServerFrame(golden(t, "server_change_insert")["server_change_insert"])
	if err != nil {
		t.Fatal(err)
	}
	wire.TypeRows(schema, frame.Rows)
	want["_seq"] = wire.IntValue(7296138456358912001)
	want["_deleted"] = wire.BoolValue(false)
	row := frame.Rows[0]
	if len(row.Names) != len(want) {
		t.Fatalf("got %d columns, want %d", len(row.Names), len(want))
	}
	for i, name := range row.Names {
		if row.Values[i] != want[name] {
			t.Errorf("frame %s: got %v, want %v", name, row.Values[i], want[name])
		}
	}
}
