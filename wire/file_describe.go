package wire

import (
	"strconv"
	"strings"
)

// RelativePath is the folder and the stored name: "f0001/123-photo.jpg".
func (f *FileRef) RelativePath() string { return f.Sub + "/" + f.StoredName() }

// FormatSize is the size for people: "512 B", "1.5 KB".
func (f *FileRef) FormatSize() string {
	if f.Size < 1024 {
		return strconv.FormatInt(f.Size, 10) + " B"
	}
	n, unit := float64(f.Size)/1024, 0
	units := [...]string{"KB", "MB", "GB", "TB"}
	for ; n >= 1024 && unit < len(units)-1; unit++ {
		n /= 1024
	}
	return strconv.FormatFloat(n, 'f', 1, 64) + " " + units[unit]
}

// IsImage reports whether the type is that of a picture.
func (f *FileRef) IsImage() bool { return strings.HasPrefix(f.MIME, "image/") }

// IsVideo reports whether the type is that of a film.
func (f *FileRef) IsVideo() bool { return strings.HasPrefix(f.MIME, "video/") }

// IsAudio reports whether the type is that of sound.
func (f *FileRef) IsAudio() bool { return strings.HasPrefix(f.MIME, "audio/") }

// IsPDF reports whether the type is that of a PDF document.
func (f *FileRef) IsPDF() bool { return f.MIME == "application/pdf" }

// TypeDescription is the type for people: Image, Video, Audio, PDF Document,
// "ZIP File", or File.
func (f *FileRef) TypeDescription() string {
	switch {
	case f.IsImage():
		return "Image"
	case f.IsVideo():
		return "Video"
	case f.IsAudio():
		return "Audio"
	case f.IsPDF():
		return "PDF Document"
	}
	media, _, _ := strings.Cut(f.MIME, ";")
	_, kind, _ := strings.Cut(media, "/")
	if kind == "" || kind == "octet-stream" {
		return "File"
	}
	return strings.ToUpper(kind) + " File"
}
