package wire_test

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/kalamdb/kalam-go/wire"
)

func TestRequestNumbersKeepTheirDigits(t *testing.T) {
	cases := []struct {
		json string
		want wire.Value
	}{
		{"0", wire.IntValue(0)},
		{"-0", wire.IntValue(0)},
		{"-9223372036854775808", wire.IntValue(math.MinInt64)},
		{"9223372036854775808", wire.TextValue("9223372036854775808")},
		{"9223372036854775809", wire.TextValue("9223372036854775809")},
		{"1.0", wire.FloatValue(1)},
		{"1e3", wire.FloatValue(1000)},
		{"0.1", wire.FloatValue(0.1)},
		{"0.10", wire.FloatValue(0.1)},
		{"-0.0", wire.FloatValue(math.Copysign(0, -1))},
		{"0.30000000000000004", wire.FloatValue(0.30000000000000004)},
		{"0.300000000000000041", wire.TextValue("0.300000000000000041")},
		{"123456789012345678901234567890", wire.TextValue("123456789012345678901234567890")},
		{"1e400", wire.TextValue("1e400")},
		{"1e-400", wire.TextValue("1e-400")},
		{"0e999999999999", wire.FloatValue(0)},
		{"100e-2", wire.FloatValue(1)},
	}
	for _, c := range cases {
		req, err := wire.DecodeRequest([]byte(`{"sql":"x","params":[` + c.json + `]}`))
		if err != nil {
			t.Errorf("%s: %v", c.json, err)
			continue
		}
		if got := req.Params[0]; got != c.want {
			t.Errorf("%s: got form %d %v %q, want form %d %v %q", c.json, got.Tag(), got.Float(), got.Text(), c.want.Tag(), c.want.Float(), c.want.Text())
		}
	}
}

func TestRequestRefusals(t *testing.T) {
	cases := []struct{ body, code, message string }{
		{``, "INVALID_INPUT", "Invalid JSON payload: unexpected end, expected an object at offset 0"},
		{`[]`, "INVALID_INPUT", "Invalid JSON payload: expected an object at offset 0"},
		{`{"sql":"a"`, "INVALID_INPUT", "Invalid JSON payload: unexpected end, expected a comma or the end of the object at offset 10"},
		{`{"sql":"a"} x`, "INVALID_INPUT", "unexpected text after the value at offset 12"},
		{"{\"sql\":\"a\"}\x00", "INVALID_INPUT", "unexpected character at offset 11"},
		{`{"sql":"a",}`, "INVALID_INPUT", "expected a member name at offset 11"},
		{`{"sql":5}`, "INVALID_INPUT", "expected a string for sql at offset 7"},
		{`{"sql":"\ud800"}`, "INVALID_INPUT", "invalid unicode escape"},
		{"{\"sql\":\"a\xff\"}", "INVALID_INPUT", "invalid UTF-8 at offset 9"},
		{"{\"sql\":\"a\nb\"}", "INVALID_INPUT", "control character"},
		{`{}`, "INVALID_INPUT", "missing field `sql`"},
		{`{"sql":null}`, "INVALID_INPUT", "missing field `sql`"},
		{`{"sql":"a","params":{}}`, "INVALID_INPUT", "expected an array for params"},
		{`{"sql":"a","params":[1,[2]]}`, "INVALID_PARAMETER", "Parameter $2 invalid: "},
		{`{"sql":"a","params":[{"a":1}]}`, "INVALID_PARAMETER", "Parameter $1 invalid: "},
		{`{"sql":"a","params":[[1]],`, "INVALID_INPUT", "Invalid JSON payload: "},
		{`{"sql":"a","params":[01]}`, "INVALID_INPUT", "expected a value"},
		{`{"sql":"a","params":[NaN]}`, "INVALID_INPUT", "expected a value"},
		{`{"sql":"a","statements":[]}`, "INVALID_INPUT", "exclude each other"},
		{`{"statements":[{}]}`, "INVALID_INPUT", "missing field `sql` in statements"},
		{`{"statements":[{"sql":"a"}],"params":[1]}`, "INVALID_INPUT", "params belong"},
		{`{"sql":"a","x":` + strings.Repeat("[", 100) + strings.Repeat("]", 100) + `}`, "INVALID_INPUT", "nested too deeply"},
		{`{"sql":"a","params":[` + strings.Repeat("0,", 65535) + `0]}`, "INVALID_PARAMETER", "limit is 65535"},
	}
	for _, c := range cases {
		_, err := wire.DecodeRequest([]byte(c.body))
		if err == nil {
			t.Errorf("%.60s: no error", c.body)
			continue
		}
		if string(err.Code) != c.code || !strings.Contains(err.Message, c.message) {
			t.Errorf("%.60s: got %s %q, want %s %q", c.body, err.Code, err.Message, c.code, c.message)
		}
	}
}

func TestBadParameterOfAStatementIsPlaced(t *testing.T) {
	_, err := wire.DecodeRequest([]byte(`{"statements":[{"sql":"a"},{"sql":"b","params":[1,{}]}]}`))
	if err == nil || err.Code != wire.CodeInvalidParameter || err.Statement != 2 {
		t.Fatalf("got %+v", err)
	}
}

func TestLastOfDuplicateMembersWins(t *testing.T) {
	req, err := wire.DecodeRequest([]byte(`{"sql":"a","params":[[1]],"sql":"b","params":[2],"unknown":{"deep":[{}]}}`))
	if err != nil {
		t.Fatal(err)
	}
	if req.SQL != "b" || len(req.Params) != 1 || req.Params[0] != wire.IntValue(2) {
		t.Fatalf("got %+v", req)
	}
}

func TestEmptyStatementsIsABatch(t *testing.T) {
	req, err := wire.DecodeRequest([]byte(`{"sql":null,"statements":[]}`))
	if err != nil {
		t.Fatal(err)
	}
	if !req.IsBatch || len(req.Statements) != 0 {
		t.Fatalf("got %+v", req)
	}
}

func TestStringEscapes(t *testing.T) {
	req, err := wire.DecodeRequest([]byte(`{"sql":"\"\\\/\b\f\n\r\t\u00e9\uD83C\uDF89é🎉\u0000"}`))
	if err != nil {
		t.Fatal(err)
	}
	want := "\"\\/\b\f\n\r\té🎉é🎉\x00"
	if req.SQL != want {
		t.Fatalf("got %q, want %q", req.SQL, want)
	}
	if got := string(wire.AppendString(nil, "a\xffb\xc3(")); got != `"a`+"\ufffd"+`b`+"\ufffd"+`("` {
		t.Fatalf("got %q", got)
	}
}

func TestFloatLayout(t *testing.T) {
	cases := []struct {
		kind wire.Kind
		f    float64
		want string
	}{
		{wire.Double, 0, "0"},
		{wire.Double, math.Copysign(0, -1), "-0"},
		{wire.Double, 5, "5"},
		{wire.Double, 0.1, "0.1"},
		{wire.Double, 1e21, "1e+21"},
		{wire.Double, 1e20, "100000000000000000000"},
		{wire.Double, 1e-7, "1e-7"},
		{wire.Double, 1.5e-300, "1.5e-300"},
		{wire.Double, math.MaxFloat64, "1.7976931348623157e+308"},
		{wire.Float, float64(float32(0.1)), "0.1"},
		{wire.Double, math.NaN(), `"NaN"`},
		{wire.Double, math.Inf(1), `"Infinity"`},
		{wire.Float, math.Inf(-1), `"-Infinity"`},
	}
	for _, c := range cases {
		got := string(wire.AppendCell(nil, wire.Type{Kind: c.kind}, wire.FloatValue(c.f)))
		if got != c.want {
			t.Errorf("%v: got %s, want %s", c.f, got, c.want)
		}
		back := wire.TypeCell(wire.Type{Kind: c.kind}, jsonCell(t, got))
		if b := back.Float(); b != c.f && !(b != b && c.f != c.f) && c.kind == wire.Double {
			t.Errorf("%v: read back as %v", c.f, b)
		}
	}
}

// jsonCell gives a cell in the form in which JSON has it.
func jsonCell(t *testing.T, cell string) wire.Value {
	t.Helper()
	f, err := wire.DecodeServerFrame([]byte(`{"type":"change","rows":[{"x":` + cell + `}]}`))
	if err != nil {
		t.Fatal(err)
	}
	return f.Rows[0].Values[0]
}

func TestEveryFormInEveryTypeIsJSON(t *testing.T) {
	values := []wire.Value{wire.Null, wire.BoolValue(true), wire.IntValue(-5), wire.FloatValue(2.5), wire.TextValue("x"), wire.BytesValue([]byte("abc")), wire.EmbeddingValue([]float32{1})}
	for k := wire.Unknown; k <= wire.File+1; k++ {
		for _, v := range values {
			jsonCell(t, string(wire.AppendCell(nil, wire.Type{Kind: k}, v)))
			wire.TypeCell(wire.Type{Kind: k}, v)
		}
	}
}

func TestBytesOfParametersAreNoText(t *testing.T) {
	in := []wire.Value{wire.BytesValue(nil), wire.BytesValue([]byte{0, 0xff, '"', '\\'}), wire.BytesValue([]byte("abcd")), wire.TextValue(`{"$bytes":"YQ=="}`), wire.TextValue("\\x00")}
	got, bad := wire.DecodeParams(wire.AppendParams(nil, in))
	if bad != nil || !slices.Equal(got, in) {
		t.Errorf("got %v, %v", got, bad)
	}
	for _, p := range []string{`{}`, `{"$bytes":"YQ"}`, `{"$bytes":"YR=="}`, `{"$bytes":1}`, `{"$bytes":null}`, `{"$bytes":["YQ=="]}`, `{"bytes":"YQ=="}`, `{"$bytes":"YQ==","x":1}`, `{"x":1,"$bytes":"YQ=="}`, `["$bytes","YQ=="]`, `[]`} {
		if got, bad := wire.DecodeParams([]byte("[1," + p + ",2]")); bad == nil || bad.Code != wire.CodeInvalidParameter || !strings.Contains(bad.Message, "$2") || len(got) != 3 {
			t.Errorf("%s: got %v, %v", p, got, bad)
		}
	}
}

func TestUnknownNamesDoNotBreakAMessage(t *testing.T) {
	ack := `{"type":"subscription_ack","subscription_id":"s","total_rows":0,"batch_control":{"batch_num":0,"has_more":false,"status":"odd","last_seq_id":"7","x":[1]},
	 "schema":[{"name":"a","data_type":"Geometry","index":0,"flags":["pk","zz"]},{"name":"b","data_type":{"Money":{"cur":"x"}},"index":1},{"name":"c","data_type":{"Embedding":{"a":1}},"index":2},{"name":"d","data_type":null}],"new":{"a":null}}`
	f, err := wire.DecodeServerFrame([]byte(ack))
	if err != nil {
		t.Fatal(err)
	}
	if len(f.Schema) != 4 || f.Schema[0].Flags != wire.FlagPrimaryKey || f.BatchControl.LastSeqID != 7 {
		t.Fatalf("got %+v", f)
	}
	f, err = wire.DecodeServerFrame([]byte(`{"type":"auth_success","user":"a","role":"overlord","protocol":{"serialization":"cbor"}}`))
	if err != nil || f.Role != "overlord" {
		t.Fatalf("got %+v, %v", f, err)
	}
	if _, err = wire.DecodeServerFrame([]byte(`{"type":"brand_new","payload":[{}]}`)); err != nil {
		t.Fatal(err)
	}
}

func TestSequenceIDsAsNumbersOrText(t *testing.T) {
	for _, from := range []string{`"from":7296138456358912001`, `"from":"7296138456358912001"`, `"from_seq_id":"7296138456358912001"`} {
		f, err := wire.DecodeClientFrame([]byte(`{"type":"subscribe","subscription":{"id":"a","sql":"b","options":{` + from + `,"batch_size":null}}}`))
		if err != nil {
			t.Fatalf("%s: %v", from, err)
		}
		if o := f.Subscription.Options; !o.HasFrom || o.From != 7296138456358912001 {
			t.Fatalf("%s: got %+v", from, o)
		}
	}
	f, err := wire.DecodeClientFrame([]byte(`{"type":"next_batch","subscription_id":"a","last_seq_id":"12"}`))
	if err != nil || f.LastSeqID != 12 {
		t.Fatalf("got %+v, %v", f, err)
	}
	f, err = wire.DecodeClientFrame([]byte(`{"type":"next_batch","subscription_id":"a","last_seq_id":null}`))
	if err != nil || f.HasLastSeqID {
		t.Fatalf("got %+v, %v", f, err)
	}
}

func TestAuthenticateWithoutProtocol(t *testing.T) {
	f, err := wire.DecodeClientFrame([]byte(`{"type":"authenticate","token":"t"}`))
	if err != nil {
		t.Fatal(err)
	}
	if f.Method != "jwt" || f.Protocol != (wire.Protocol{Serialization: "json", Compression: "gzip"}) {
		t.Fatalf("got %+v", f)
	}
}

func TestClientFrameRefusals(t *testing.T) {
	for _, body := range []string{
		`{`, `{}`, `{"type":"dance"}`, `{"type":"authenticate"}`, `{"type":"subscribe"}`, `{"type":"subscribe","subscription":{"id":"a"}}`,
		`{"type":"subscribe","subscription":{"id":"a","sql":"b","options":{"batch_size":-1}}}`,
		`{"type":"subscribe","subscription":{"id":"a","sql":"b","options":{"from":"x"}}}`,
		`{"type":"subscribe","subscription":{"id":"a","sql":"b","options":{"from":1.5}}}`,
		`{"type":"unsubscribe"}`, `{"type":"unsubscribe","subscription_id":4}`, "\"ping\"", `{"type":"ping"}{}`,
	} {
		f, err := wire.DecodeClientFrame([]byte(body))
		var e *wire.Error
		if f != nil || !errors.As(err, &e) || e.Code != wire.CodeProtocol {
			t.Errorf("%s: got %+v, %v", body, f, err)
		}
	}
	f, err := wire.DecodeClientFrame([]byte(`{"type":"subscribe","subscription":{"id":"a","sql":"b","params":[{}]}}`))
	if f == nil || f.Subscription.ID != "a" || !errors.Is(err, &wire.Error{Code: wire.CodeInvalidParameter}) {
		t.Errorf("got %+v, %v", f, err)
	}
}

func TestRowsWithDifferingNames(t *testing.T) {
	f, err := wire.DecodeServerFrame([]byte(`{"type":"change","rows":[{"a":1,"b":2},{"a":3,"b":4},{"a":5},{"b":6,"a":7,"b":8},{}]}`))
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, r := range f.Rows {
		s := ""
		for i, n := range r.Names {
			s += n + strconv.FormatInt(r.Values[i].Int(), 10)
		}
		got = append(got, s)
	}
	if s := strings.Join(got, " "); s != "a1b2 a3b4 a5 b8a7 " {
		t.Fatalf("got %q", s)
	}
}

func TestResponseWithRowsBeforeSchema(t *testing.T) {
	r, err := wire.DecodeResponse([]byte(`{"error":null,"results":[{"rows":[["5","x"]],"schema":[{"name":"a","data_type":"BigInt"},{"name":"b","data_type":"Text"}],"row_count":1}],"status":"success"}`))
	if err != nil {
		t.Fatal(err)
	}
	if got := r.Results[0].Rows[0][0]; got != wire.IntValue(5) {
		t.Fatalf("got %v", got)
	}
	for _, bad := range []string{`<html>`, `{}`, `{"status":"maybe"}`, `{"error":"RATE_LIMIT_EXCEEDED","message":"m"}`} {
		if _, err := wire.DecodeResponse([]byte(bad)); err == nil {
			t.Errorf("%s: no error", bad)
		}
	}
}

func TestSecretsDoNotPrint(t *testing.T) {
	q := wire.LoginRequest{User: "alice", Password: "hunter2"}
	r := wire.LoginResponse{User: wire.LoginUser{ID: "alice"}, AccessToken: "hunter2", RefreshToken: "hunter2"}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q"} {
		if s := fmt.Sprintf(strings.Repeat(verb, 4), q, &q, r, &r); strings.Contains(s, "hunter2") {
			t.Errorf("%s: %s", verb, s)
		}
	}
}
