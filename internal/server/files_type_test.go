package server_test

import (
	"strconv"
	"strings"
	"testing"
)

// ftyp is the first box of an ISO media file with those brands.
func ftyp(brands ...string) string {
	body := brands[0] + "\x00\x00\x00\x00" + strings.Join(brands, "")
	return "\x00\x00\x00" + string([]byte{byte(8 + len(body))}) + "ftyp" + body + "\x00\x00\x00\x08moov"
}

// TestTypesOfFilesAreWhatTheContentShows uploads files as browsers declare them,
// and under no type at all.
func TestTypesOfFilesAreWhatTheContentShows(t *testing.T) {
	s := start(t)
	admin, alice := mint(t, "admin"), mint(t, "alice")
	run(t, s, admin, docs)
	const svg = `<svg xmlns="http://www.w3.org/2000/svg" width="1" height="1"/>`
	ebml := func(docType string) string {
		return "\x1a\x45\xdf\xa3\x9f\x42\x86\x81\x01\x42\xf7\x81\x01\x42\xf2\x81\x04\x42\xf3\x81\x08\x42\x82" + string([]byte{0x80 | byte(len(docType))}) + docType + "\x42\x87\x81\x04"
	}
	ogg := func(packet string) string {
		return "OggS\x00\x02" + strings.Repeat("\x00", 20) + "\x01\x13" + packet + "\x01\x01"
	}
	const office = "application/vnd.openxmlformats-officedocument.wordprocessingml.document"
	for i, c := range []struct{ declared, content, want string }{
		{"image/svg+xml", svg, "image/svg+xml"},
		{"", svg, "image/svg+xml"},
		{"application/octet-stream", "\ufeff\n<!-- made by hand -->\n" + svg, "image/svg+xml"},
		{"image/svg+xml", "<?xml version='1.0'?>\n<!DOCTYPE svg PUBLIC '-//W3C//DTD SVG 1.1//EN' 'x.dtd' [ <!ENTITY a 'b'> ]>" + svg, "image/svg+xml"},
		{"image/svg+xml", `<s:svg xmlns:s="http://www.w3.org/2000/svg"/>`, "image/svg+xml"},
		{"text/plain", svg, "text/plain"},
		{"image/svg+xml", "just text <svg>", "text/plain; charset=utf-8"},
		{"application/gpx+xml", "<gpx version='1.1'/>", "application/gpx+xml"},
		{"application/xml", "<note/>", "application/xml"},
		{"application/xml", "note", "text/plain; charset=utf-8"},

		{"audio/webm", ebml("webm"), "audio/webm"},
		{"audio/webm;codecs=opus", ebml("webm"), "audio/webm"},
		{"video/webm", ebml("webm"), "video/webm"},
		{"", ebml("webm"), "video/webm"},
		{"video/webm", ebml("matroska"), "video/x-matroska"},
		{"audio/x-matroska", ebml("matroska"), "audio/x-matroska"},
		{"audio/webm", "\x00\x01\x02\x03", "application/octet-stream"},

		{"audio/mp4", ftyp("isom", "iso2", "mp41"), "audio/mp4"},
		{"audio/x-m4a", ftyp("M4A ", "mp42"), "audio/x-m4a"},
		{"", ftyp("M4A ", "mp42"), "audio/mp4"},
		{"", ftyp("isom", "avc1"), "video/mp4"},
		{"image/png", ftyp("mp42", "isom"), "video/mp4"},
		{"video/quicktime", ftyp("qt  "), "video/quicktime"},
		{"image/avif", ftyp("avif", "mif1"), "image/avif"},
		{"", ftyp("mif1", "avif"), "image/avif"},
		{"image/heic", ftyp("heic", "mif1"), "image/heic"},
		{"", ftyp("mif1", "heic"), "image/heic"},
		{"image/heif", ftyp("heic"), "image/heif"},
		{"image/avif", "not one", "text/plain; charset=utf-8"},
		{"image/heic", "\x00\x01\x02\x03", "application/octet-stream"},

		{"audio/ogg", ogg("OpusHead\x01"), "audio/ogg"},
		{"", ogg("\x01vorbis"), "audio/ogg"},
		{"video/ogg", ogg("\x80theora"), "video/ogg"},
		{"audio/ogg", ogg("fishead"), "audio/ogg"},
		{"audio/wav", "RIFF\x24\x00\x00\x00WAVEfmt ", "audio/wav"},
		{"image/webp", "RIFF\x24\x00\x00\x00WEBPVP8 ", "image/webp"},
		{"audio/mpeg", "\xff\xfb\x90\x64\x00", "audio/mpeg"},

		{office, "PK\x03\x04....", office},
		{"", "PK\x03\x04....", "application/zip"},
		{"application/x-zip-compressed", "PK\x03\x04....", "application/x-zip-compressed"},
		{"application/epub+zip", "PK\x03\x04....", "application/epub+zip"},
		{"image/png", "PK\x03\x04....", "application/zip"},
		{"application/vnd.ms-excel", "\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "application/vnd.ms-excel"},
		{"application/json", `{"a":1}`, "application/json"},
		{"application/x-ndjson", "{}\n{}\n", "application/x-ndjson"},
		{"text/csv", "a,b\n1,2\n", "text/csv; charset=utf-8"},
		{"text/html", "a,b\n1,2\n", "text/plain; charset=utf-8"},
	} {
		f := putFile(t, s, alice, strconv.Itoa(i), formPart{file: "f", typ: c.declared, content: c.content})
		if f.MIME != c.want {
			t.Errorf("%q as %q: %q, want %q", c.content, c.declared, f.MIME, c.want)
		}
	}
}
