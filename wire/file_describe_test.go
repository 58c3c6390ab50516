package wire_test

import (
	"testing"

	"github.com/kalamdb/kalam-go/wire"
)

func TestFileRefForPeople(t *testing.T) {
	for size, want := range map[int64]string{0: "0 B", 1023: "1023 B", 1024: "1.0 KB", 1536: "1.5 KB", 5 << 30: "5.0 GB", 1 << 50: "1024.0 TB"} {
		if got := (&wire.FileRef{Size: size}).FormatSize(); got != want {
			t.Errorf("%d: got %s, want %s", size, got, want)
		}
	}
	for mime, want := range map[string]string{
		"image/png": "Image", "video/mp4": "Video", "audio/ogg": "Audio", "application/pdf": "PDF Document",
		"application/zip": "ZIP File", "text/plain; charset=utf-8": "PLAIN File", "application/octet-stream": "File", "": "File",
	} {
		if got := (&wire.FileRef{MIME: mime}).TypeDescription(); got != want {
			t.Errorf("%q: got %s, want %s", mime, got, want)
		}
	}
	if got := (&wire.FileRef{ID: "7", Sub: "f0002", Name: "A.png"}).RelativePath(); got != "f0002/7-a.png" {
		t.Errorf("got %s", got)
	}
}
