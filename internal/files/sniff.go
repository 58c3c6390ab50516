package files

import (
	"bytes"
	"encoding/binary"
	"net/http"
	"strings"
)

const (
	unknownType = "application/octet-stream"
	svgType     = "image/svg+xml"
)

// sniff is the type that a content shows by its first bytes. Beside what
// http.DetectContentType knows it looks into the containers that hold more than
// one kind of content, and at the root of an XML document.
func sniff(head []byte) string {
	if len(head) == 0 {
		return unknownType
	}
	if root := xmlRoot(head); root == "svg" || strings.HasSuffix(root, ":svg") {
		return svgType
	}
	switch {
	case bytes.HasPrefix(head, []byte("\x1a\x45\xdf\xa3")):
		return ebmlType(head)
	case bytes.HasPrefix(head, []byte("OggS")):
		return oggType(head)
	case len(head) >= 12 && string(head[4:8]) == "ftyp":
		return isoType(head)
	}
	return http.DetectContentType(head)
}

// ebmlType tells WebM from other Matroska by its DocType (RFC 8794, section 11).
func ebmlType(head []byte) string {
	if bytes.Contains(head[:min(len(head), 64)], []byte("matroska")) {
		return "video/x-matroska"
	}
	return "video/webm"
}

// oggType is the type of an Ogg file by the first packet of its first page (RFC
// 5334).
func oggType(head []byte) string {
	first := head[:min(len(head), 64)]
	for _, codec := range []string{"OpusHead", "\x01vorbis", "\x7fFLAC", "Speex   "} {
		if bytes.Contains(first, []byte(codec)) {
			return "audio/ogg"
		}
	}
	if bytes.Contains(first, []byte("\x80theora")) {
		return "video/ogg"
	}
	return "application/ogg"
}

// isoType is the type of an ISO base media file by its brands (ISO/IEC
// 14496-12, section 4.3): the major one first, then those it is compatible with.
func isoType(head []byte) string {
	end := min(int(binary.BigEndian.Uint32(head)), len(head))
	brands := []string{string(head[8:12])}
	for at := 16; at+4 <= end; at += 4 {
		brands = append(brands, string(head[at:at+4]))
	}
	for _, b := range brands {
		switch b {
		case "avif", "avis":
			return "image/avif"
		case "heic", "heix", "heim", "heis", "hevc", "hevx":
			return "image/heic"
		}
	}
	switch major := brands[0]; {
	case major == "mif1", major == "msf1":
		return "image/heif"
	case major == "M4A ", major == "M4B ":
		return "audio/mp4"
	case major == "qt  ":
		return "video/quicktime"
	case strings.HasPrefix(major, "3gp"):
		return "video/3gpp"
	case strings.HasPrefix(major, "3g2"):
		return "video/3gpp2"
	}
	return "video/mp4"
}

// xmlRoot is the name of the first element of a text that begins as an XML
// document does: perhaps with a declaration, comments and a document type. It is
// "" for any other content, and where the first bytes do not reach the element.
func xmlRoot(head []byte) string {
	rest := bytes.TrimPrefix(head, []byte("\xef\xbb\xbf"))
	for {
		rest = bytes.TrimLeft(rest, " \t\r\n")
		end := ""
		switch {
		case bytes.HasPrefix(rest, []byte("<?")):
			end = "?>"
		case bytes.HasPrefix(rest, []byte("<!--")):
			end = "-->"
		case bytes.HasPrefix(rest, []byte("<!DOCTYPE")):
			end = ">"
			if open, shut := bytes.IndexByte(rest, '['), bytes.IndexByte(rest, '>'); open >= 0 && open < shut {
				end = "]"
			}
		case bytes.HasPrefix(rest, []byte("]")), bytes.HasPrefix(rest, []byte(">")): // of a document type with declarations
			rest = rest[1:]
			continue
		case len(rest) > 1 && rest[0] == '<':
			n := bytes.IndexAny(rest, " \t\r\n/>")
			if n <= 1 || !isLetter(rest[1]) {
				return ""
			}
			return string(rest[1:n])
		default:
			return ""
		}
		at := bytes.Index(rest, []byte(end))
		if at < 0 {
			return ""
		}
		rest = rest[at+len(end):]
	}
}

func isLetter(b byte) bool { return b >= 'a' && b <= 'z' || b >= 'A' && b <= 'Z' || b == '_' }
