package wire

import (
	"strconv"
	"strings"
)

// FileRef is what a FILE column holds: which file, and what the server knows of
// it. The server makes it from an upload; a changed one is read by its ID alone.
type FileRef struct {
	ID     string // decimal digits
	Sub    string // the folder, as in "f0001"
	Name   string // as it was uploaded, without a path
	Size   int64  // bytes
	MIME   string // as the server found it, without parameters but charset
	SHA256 string // of the content, in lower-case hexadecimal digits
	Shard  string // of servers that have several; "" here
}

// AppendFileRef appends the JSON text of a FILE cell.
func AppendFileRef(dst []byte, f *FileRef) []byte {
	dst = append(dst, `{"id":`...)
	dst = AppendString(dst, f.ID)
	dst = append(dst, `,"sub":`...)
	dst = AppendString(dst, f.Sub)
	dst = append(dst, `,"name":`...)
	dst = AppendString(dst, f.Name)
	dst = append(dst, `,"size":`...)
	dst = strconv.AppendInt(dst, f.Size, 10)
	dst = append(dst, `,"mime":`...)
	dst = AppendString(dst, f.MIME)
	dst = append(dst, `,"sha256":`...)
	dst = AppendString(dst, f.SHA256)
	if f.Shard != "" {
		dst = append(dst, `,"shard":`...)
		dst = AppendString(dst, f.Shard)
	}
	return append(dst, '}')
}

// DecodeFileRef reads the JSON text of a FILE cell. It needs an id of digits;
// whatever else is missing is zero. The error has code CONVERSION_ERROR.
func DecodeFileRef(text string) (*FileRef, error) {
	r := newReader([]byte(text), true)
	f := &FileRef{}
	first, key := true, ""
	if r.open('{', "an object") {
		for r.member(&first, &key) {
			v, nested := r.value()
			switch key {
			case "id":
				if v.Tag() == TagInt {
					v = TextValue(strconv.FormatInt(v.Int(), 10))
				}
				f.ID = plainText(v, nested)
			case "sub":
				f.Sub = plainText(v, nested)
			case "name":
				f.Name = plainText(v, nested)
			case "size":
				if v.Tag() == TagInt {
					f.Size = v.Int()
				}
			case "mime":
				f.MIME = plainText(v, nested)
			case "sha256":
				f.SHA256 = plainText(v, nested)
			case "shard":
				f.Shard = plainText(v, nested)
			}
		}
	}
	if err := r.err(CodeConversionError, "not a file reference: "); err != nil {
		return nil, err
	}
	if f.ID == "" || strings.Trim(f.ID, "0123456789") != "" {
		return nil, NewError(CodeConversionError, "not a file reference: it has no id of digits")
	}
	return f, nil
}

func plainText(v Value, nested bool) string {
	if nested || v.Tag() != TagText {
		return ""
	}
	return v.Text()
}

// StoredName is the last part of the file's path: its id, and of its name what
// is harmless in every path: "123-holiday-photo.jpg", or "123.bin".
func (f *FileRef) StoredName() string {
	name, ext := f.Name, ""
	if i := strings.LastIndexByte(name, '.'); i >= 0 {
		name, ext = name[:i], lowerAlnum(name[i+1:])
	}
	if ext == "" || len(ext) > 10 {
		ext = "bin"
	}
	if slug := slug(name); slug != "" {
		return f.ID + "-" + slug + "." + ext
	}
	return f.ID + "." + ext
}

// Path is where the file of a table is downloaded from, beneath the server's
// URL.
func (f *FileRef) Path(namespace, table string) string {
	return "/v1/files/" + escapePath(namespace) + "/" + escapePath(table) + "/" + f.Sub + "/" + f.ID
}

// lowerAlnum is the text in lower case; "" when it holds anything but letters
// and digits of ASCII.
func lowerAlnum(text string) string {
	out := make([]byte, len(text))
	for i := range len(text) {
		if out[i] = lowerByte(text[i]); out[i] == 0 {
			return ""
		}
	}
	return string(out)
}

// lowerByte is a letter or digit of ASCII in lower case, 0 for any other byte.
func lowerByte(c byte) byte {
	switch {
	case 'A' <= c && c <= 'Z':
		return c + 'a' - 'A'
	case 'a' <= c && c <= 'z', '0' <= c && c <= '9':
		return c
	}
	return 0
}

const maxSlug = 50

// slug is the letters and digits of a name, in lower case, with a dash for each
// run of blanks, underscores and dashes.
func slug(name string) string {
	var out []byte
	for i := 0; i < len(name) && len(out) < maxSlug; i++ {
		c := name[i]
		if low := lowerByte(c); low != 0 {
			out = append(out, low)
		} else if (c == ' ' || c == '_' || c == '-') && len(out) > 0 && out[len(out)-1] != '-' {
			out = append(out, '-')
		}
	}
	return strings.TrimRight(string(out), "-")
}

// escapePath writes a name as one part of a URL's path.
func escapePath(name string) string {
	const hex = "0123456789ABCDEF"
	var out []byte
	for i := range len(name) {
		if c := name[i]; lowerByte(c) != 0 || c == '_' || c == '-' || c == '.' && name != "." && name != ".." {
			out = append(out, c)
		} else {
			out = append(out, '%', hex[c>>4], hex[c&15])
		}
	}
	return string(out)
}

// FileLinkRequest asks for a URL that reads one file without a token: the body of
// POST /v1/api/files/sign.
type FileLinkRequest struct {
	Path      string // as in FileRef.Path, with "?user_id=" where another user's rows are meant
	ExpiresIn int    // seconds; 0: the server's default
}

// AppendFileLinkRequest appends the body of POST /v1/api/files/sign.
func AppendFileLinkRequest(dst []byte, r *FileLinkRequest) []byte {
	dst = append(dst, `{"path":`...)
	dst = AppendString(dst, r.Path)
	dst = appendPositive(dst, `,"expires_in":`, r.ExpiresIn)
	return append(dst, '}')
}

// DecodeFileLinkRequest reads the body of POST /v1/api/files/sign.
func DecodeFileLinkRequest(b []byte) (*FileLinkRequest, *Error) {
	r := newReader(b, false)
	out := &FileLinkRequest{}
	first, key := true, ""
	if r.open('{', "an object") {
		for r.member(&first, &key) {
			switch key {
			case "path":
				out.Path = r.str("a string for path")
			case "expires_in":
				if !r.null() {
					out.ExpiresIn = int(r.int("a number for expires_in"))
				}
			default:
				r.skip()
			}
		}
	}
	if err := r.err(CodeInvalidInput, badPayload); err != nil {
		return nil, err
	}
	return out, nil
}

// FileLink is a URL that reads one file without a token.
type FileLink struct {
	URL       string // beneath the server's URL; whoever has it can read the file
	ExpiresAt int64  // seconds since 1970
}

// String leaves out the URL, which is a secret.
func (l FileLink) String() string {
	return "link to a file until " + strconv.FormatInt(l.ExpiresAt, 10)
}

// AppendFileLink appends the answer of POST /v1/api/files/sign.
func AppendFileLink(dst []byte, l *FileLink) []byte {
	dst = append(dst, `{"url":`...)
	dst = AppendString(dst, l.URL)
	dst = append(dst, `,"expires_at":`...)
	dst = strconv.AppendInt(dst, l.ExpiresAt, 10)
	return append(dst, '}')
}

// DecodeFileLink reads the answer of POST /v1/api/files/sign.
func DecodeFileLink(b []byte) (*FileLink, error) {
	r := newReader(b, false)
	out := &FileLink{}
	first, key := true, ""
	if r.open('{', "an object") {
		for r.member(&first, &key) {
			switch key {
			case "url":
				out.URL = r.str("a string for url")
			case "expires_at":
				out.ExpiresAt = r.int("a number for expires_at")
			default:
				r.skip()
			}
		}
	}
	if err := r.err(CodeProtocol, "invalid answer: "); err != nil {
		return nil, err
	}
	return out, nil
}
