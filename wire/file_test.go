package wire_test

import (
	"testing"

	"github.com/kalamdb/kalam-go/wire"
)

func TestFileRefRoundTrip(t *testing.T) {
	ref := &wire.FileRef{
		ID: "383390341119606784", Sub: "f0001", Name: "Übung \"1\".pdf", Size: 5 << 30, MIME: "application/pdf",
		SHA256: "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
	}
	text := string(wire.AppendFileRef(nil, ref))
	const want = `{"id":"383390341119606784","sub":"f0001","name":"Übung \"1\".pdf","size":5368709120,"mime":"application/pdf","sha256":"e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"}`
	if text != want {
		t.Errorf("got  %s\nwant %s", text, want)
	}
	again, err := wire.DecodeFileRef(text)
	if err != nil || *again != *ref {
		t.Errorf("decoded %+v, %v", again, err)
	}
	ref.Shard = "3"
	if again, err = wire.DecodeFileRef(string(wire.AppendFileRef(nil, ref))); err != nil || *again != *ref {
		t.Errorf("with a shard: %+v, %v", again, err)
	}
}

func TestFileRefNeedsAnID(t *testing.T) {
	for _, text := range []string{``, `null`, `"1"`, `{}`, `{"id":""}`, `{"id":"../1"}`, `{"id":"-1"}`, `{"id":{"a":1}}`, `{"id":"1"`, `{"id":"1"} x`, `{"id":1.5}`} {
		if f, err := wire.DecodeFileRef(text); err == nil {
			t.Errorf("%s: got %+v", text, f)
		}
	}
	if f, err := wire.DecodeFileRef(`{"id":7,"name":{"a":1},"size":"x","extra":[1]}`); err != nil || *f != (wire.FileRef{ID: "7"}) {
		t.Errorf("got %+v, %v", f, err)
	}
}

func TestStoredName(t *testing.T) {
	for name, want := range map[string]string{
		"Holiday Photo.JPG":     "7-holiday-photo.jpg",
		"a__b -- c.tar.gz":      "7-a-b-ctar.gz",
		"../../etc/passwd":      "7.bin",
		"..":                    "7.bin",
		"Übung.pdf":             "7-bung.pdf",
		"x.p df":                "7-x.bin",
		"x.averylongextension":  "7-x.bin",
		"-_ -":                  "7.bin",
		"README":                "7-readme.bin",
		"q\"\r\nSet-Cookie: a.": "7-qset-cookie-a.bin",
		"0123456789012345678901234567890123456789012345678901234567890.txt": "7-01234567890123456789012345678901234567890123456789.txt",
	} {
		if got := (&wire.FileRef{ID: "7", Name: name}).StoredName(); got != want {
			t.Errorf("%q: got %q, want %q", name, got, want)
		}
	}
	if got := (&wire.FileRef{ID: "7", Sub: "f0001"}).Path("app", "a/b %"); got != "/v1/files/app/a%2Fb%20%25/f0001/7" {
		t.Errorf("path %q", got)
	}
}
