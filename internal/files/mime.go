package files

import (
	"mime"
	"net/http"
	"strings"
)

// mimeOf is the type of a content that begins with head and that the client
// calls declared. What the content shows wins; the client decides where the
// content shows little: among texts, among formats inside a zip or XML, and
// where there is nothing to be seen.
func mimeOf(head []byte, declared string) string {
	seen := http.DetectContentType(head)
	if len(head) == 0 {
		seen = unknownType
	}
	media, params, err := mime.ParseMediaType(declared)
	if err != nil || !strings.Contains(media, "/") || len(media) > 100 {
		return seen
	}
	kind, _, _ := strings.Cut(seen, ";")
	switch {
	case media == kind:
	case kind == "text/plain" && isText(media):
	case kind == "text/xml" && (strings.HasSuffix(media, "+xml") || media == "application/xml") && media != "application/xhtml+xml":
	case kind == "application/zip" && (strings.HasPrefix(media, "application/vnd.") || strings.HasSuffix(media, "+zip") || media == "application/java-archive"):
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

const unknownType = "application/octet-stream"

// isText reports whether a type is that of a text with nothing at its beginning
// that tells it. HTML and XML show what they are.
func isText(media string) bool {
	switch media {
	case "text/html", "text/xml":
		return false
	case "application/json", "application/javascript", "application/x-javascript", "application/sql", "application/toml",
		"application/x-sh", "application/yaml", "application/x-yaml", "application/rtf":
		return true
	}
	return strings.HasPrefix(media, "text/") || strings.HasSuffix(media, "+json") || strings.HasSuffix(media, "+yaml")
}

// shows reports whether a content of that type would have been recognised, so
// that one that was not is something else.
func shows(media string) bool {
	switch media {
	case "image/png", "image/jpeg", "image/gif", "image/webp", "image/bmp", "image/svg+xml",
		"audio/wave", "audio/midi", "audio/basic", "audio/aiff", "application/ogg", "video/avi", "video/webm",
		"application/pdf", "application/postscript", "application/zip", "application/x-gzip", "application/gzip",
		"application/x-rar-compressed", "application/wasm", "application/xhtml+xml", "application/xml",
		"font/ttf", "font/otf", "font/woff", "font/woff2":
		return true
	}
	return strings.HasPrefix(media, "text/") || strings.HasPrefix(media, "multipart/") || strings.HasPrefix(media, "message/") || strings.HasSuffix(media, "+xml") || isText(media)
}
