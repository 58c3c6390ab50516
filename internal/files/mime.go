package files

import (
	"mime"
	"slices"
	"strings"
)

// mimeOf is the type of a content that begins with head and that the client
// calls declared. What the content shows wins; the client decides where the
// content shows little: among texts, among formats of one container, and where
// there is nothing to be seen.
func mimeOf(head []byte, declared string) string {
	seen := sniff(head)
	media, params, err := mime.ParseMediaType(declared)
	if err != nil || !strings.Contains(media, "/") || len(media) > 100 {
		return seen
	}
	kind, _, _ := strings.Cut(seen, ";")
	switch {
	case media == kind:
	case slices.Contains(families[kind], media):
	case kind == "text/plain" && isText(media):
	case (kind == "text/xml" || kind == "text/plain" && xmlRoot(head) != "") && isXML(media):
	case kind == "application/zip" && (strings.HasPrefix(media, "application/vnd.") || strings.HasSuffix(media, "+zip")):
	case kind == unknownType && !shows(media):
	default:
		return seen
	}
	if charset := params["charset"]; charset != "" && kind == "text/plain" {
		if text := mime.FormatMediaType(media, map[string]string{"charset": strings.ToLower(charset)}); text != "" {
			return text
		}
	}
	if kind == "text/plain" && strings.HasPrefix(media, "text/") {
		return media + "; charset=utf-8"
	}
	return media
}

// families are the types that a content may be called which shows the type
// before the colon: other contents of the same container, or other names.
var families = map[string][]string{
	svgType:                        {"text/plain"},
	"video/webm":                   {"audio/webm"},
	"video/x-matroska":             {"audio/x-matroska", "video/matroska", "audio/matroska"},
	"audio/ogg":                    {"application/ogg", "audio/opus", "audio/vorbis", "audio/flac", "audio/speex"},
	"video/ogg":                    {"application/ogg"},
	"application/ogg":              {"audio/ogg", "video/ogg", "audio/opus"},
	"video/mp4":                    {"audio/mp4", "application/mp4", "audio/x-m4a", "audio/m4a", "video/x-m4v", "video/m4v", "video/quicktime"},
	"audio/mp4":                    {"audio/x-m4a", "audio/m4a", "audio/x-m4b", "video/mp4", "application/mp4"},
	"video/3gpp":                   {"audio/3gpp"},
	"video/3gpp2":                  {"audio/3gpp2"},
	"image/heic":                   {"image/heif", "image/heic-sequence", "image/heif-sequence"},
	"image/heif":                   {"image/heic", "image/avif", "image/heif-sequence"},
	"audio/wave":                   {"audio/wav", "audio/x-wav", "audio/vnd.wave"},
	"audio/aiff":                   {"audio/x-aiff"},
	"audio/mpeg":                   {"audio/mp3"},
	"audio/midi":                   {"audio/mid", "audio/x-midi"},
	"video/avi":                    {"video/x-msvideo", "video/vnd.avi"},
	"image/bmp":                    {"image/x-ms-bmp", "image/x-bmp"},
	"image/x-icon":                 {"image/vnd.microsoft.icon"},
	"application/x-gzip":           {"application/gzip"},
	"application/x-rar-compressed": {"application/vnd.rar"},
	"application/zip":              {"application/x-zip-compressed", "application/java-archive"},
	"application/postscript":       {"application/illustrator"},
}

// isXML reports whether a type is that of an XML document and not of a page.
func isXML(media string) bool {
	return media != "application/xhtml+xml" && (strings.HasSuffix(media, "+xml") || media == "application/xml" || media == "text/xml")
}

// isText reports whether a type is that of a text with nothing at its beginning
// that tells it. HTML and XML show what they are.
func isText(media string) bool {
	switch media {
	case "text/html", "text/xml":
		return false
	case "application/json", "application/x-ndjson", "application/jsonl", "application/csv", "application/javascript", "application/x-javascript",
		"application/sql", "application/toml", "application/x-sh", "application/yaml", "application/x-yaml", "application/rtf":
		return true
	}
	return strings.HasPrefix(media, "text/") || strings.HasSuffix(media, "+json") || strings.HasSuffix(media, "+yaml")
}

// shows reports whether a content of that type would have been recognised, so
// that one that was not is something else.
func shows(media string) bool {
	switch media {
	case "image/png", "image/jpeg", "image/gif", "image/webp", "image/bmp", svgType, "image/avif", "image/heic", "image/heif",
		"audio/wave", "audio/midi", "audio/basic", "audio/aiff", "application/ogg", "audio/ogg", "video/ogg", "audio/opus",
		"video/avi", "video/webm", "audio/webm", "video/x-matroska", "audio/x-matroska",
		"application/pdf", "application/postscript", "application/zip", "application/x-gzip", "application/gzip",
		"application/x-rar-compressed", "application/wasm", "application/xhtml+xml", "application/xml",
		"font/ttf", "font/otf", "font/woff", "font/woff2":
		return true
	}
	return strings.HasPrefix(media, "text/") || strings.HasPrefix(media, "multipart/") || strings.HasPrefix(media, "message/") || strings.HasSuffix(media, "+xml") || isText(media)
}
