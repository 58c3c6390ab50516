package files

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"mime"
	"mime/multipart"
	"strconv"
	"strings"
	"syscall"
	"unicode"
	"unicode/utf8"

	"github.com/kalamdb/kalam-go/internal/engine"
	"github.com/kalamdb/kalam-go/internal/identity"
	"github.com/kalamdb/kalam-go/internal/store"
	"github.com/kalamdb/kalam-go/wire"
)

// Upload is a request that came as a form: the statement, and files whose
// content is in its place but which no row knows yet. Whoever gets one calls
// Close in the end.
type Upload struct {
	Request wire.Request
	files   map[string]*store.File
	sums    map[string]string // what the client says that the SHA-256 is, by name
	arrived int64             // bytes of files
	owner   string
	s       *Service
	seen    map[string]bool
	text    int64 // bytes of everything else
}

// Run runs the statement with its files.
func (u *Upload) Run(ctx context.Context, e *engine.Engine, who *identity.Principal, hold *engine.Hold) ([]wire.Result, error) {
	return e.RunWithFiles(ctx, who, &u.Request, &engine.Uploads{Files: u.files, Quota: u.s.options.MaxPerUser}, hold)
}

// Close removes the content of files that no row refers to.
func (u *Upload) Close() {
	u.s.arrive(u.owner, -u.arrived)
	if len(u.files) == 0 {
		return
	}
	unknown := make(map[string]bool)
	err := u.s.db.For(u.owner).Read(context.Background(), func(tx *store.Tx) error {
		clear(unknown)
		for _, f := range u.files {
			known, err := tx.File(f.ID)
			if err != nil {
				return err
			}
			if known == nil {
				unknown[f.Key()] = true
			}
		}
		return nil
	})
	if err != nil {
		u.s.options.Logger.Error("the files of an upload stay until the next start", "error", err)
		return
	}
	for key := range unknown {
		u.s.discard(key)
	}
}

// discard removes the content of an upload that came to nothing.
func (s *Service) discard(key string) {
	if s.blobs.Delete(key) == nil {
		return
	}
	select {
	case s.left <- key:
	case <-s.closing:
	}
}

// Receive reads a form to its end; contentType is that of the request. Contents
// go to their places while they arrive and are synced; memory does not grow with
// them. The error is a *wire.Error, or what keeping a content failed with; then
// nothing of the form is left.
func (s *Service) Receive(ctx context.Context, owner, contentType string, body io.Reader) (u *Upload, err error) {
	_, params, err := mime.ParseMediaType(contentType)
	boundary := params["boundary"]
	if err != nil || boundary == "" || len(boundary) > maxBoundary {
		return nil, invalid("the Content-Type of the form has no good boundary")
	}
	s.work.take()
	defer s.work.give()
	in := &source{r: body, work: s.work, buf: make([]byte, formBuffer)}
	form := multipart.NewReader(in, boundary)
	u = &Upload{files: make(map[string]*store.File), sums: make(map[string]string), seen: make(map[string]bool), owner: owner, s: s}
	defer func() {
		if err != nil {
			u.Close()
			u = nil
		}
	}()
	used := int64(0)
	if s.options.MaxPerUser > 0 {
		err := s.db.For(owner).Read(ctx, func(tx *store.Tx) (err error) {
			used, err = tx.FileBytes(owner)
			return err
		})
		if err != nil {
			return u, err
		}
	}
	for parts := 0; ; parts++ {
		part, err := form.NextRawPart()
		if err == io.EOF {
			break
		}
		if err != nil {
			return u, formError(&readError{err})
		}
		if parts > 4*s.options.MaxFiles+16 {
			return u, invalid("the form has too many parts")
		}
		if err := u.part(part, used); err != nil {
			return u, formError(err)
		}
	}
	if !in.saw("--" + boundary + "--") {
		return u, formError(&readError{io.ErrUnexpectedEOF})
	}
	if !u.seen["sql"] || strings.TrimSpace(u.Request.SQL) == "" {
		return u, wire.NewError(wire.CodeEmptySQL, `the form has no part "sql" with a statement`)
	}
	return u, u.checkSums()
}

const (
	maxBoundary = 70       // bytes, by RFC 2046 section 5.1.1
	formBuffer  = 64 << 10 // bytes that are read from the connection at once
)

// source buffers a body and knows the last bytes that were taken from it, because
// package multipart takes the end of a body within the headers of a part for the
// proper end of the form.
type source struct {
	r       io.Reader
	work    turns // that the reader holds, but not while it waits for bytes
	buf     []byte
	pos, n  int    // buf[pos:n] is still to be read
	earlier []byte // the last bytes before buf
	err     error
}

func (s *source) Read(p []byte) (int, error) {
	if s.pos == s.n {
		if s.err != nil {
			return 0, s.err
		}
		s.earlier = append(s.earlier, s.buf[max(0, s.n-maxBoundary-8):s.n]...)
		s.earlier = append(s.earlier[:0], s.earlier[max(0, len(s.earlier)-maxBoundary-8):]...)
		s.pos = 0
		s.work.give()
		s.n, s.err = s.r.Read(s.buf)
		s.work.take()
	}
	n := copy(p, s.buf[s.pos:s.n])
	s.pos += n
	if n == 0 {
		return 0, s.err
	}
	return n, nil
}

// saw reports whether a line is among the last bytes.
func (s *source) saw(line string) bool {
	return bytes.Contains(append(s.earlier[:len(s.earlier):len(s.earlier)], s.buf[:s.n]...), []byte(line))
}

func invalid(parts ...string) *wire.Error { return wire.NewError(wire.CodeInvalidInput, parts...) }

// formError words what goes wrong when a form is read and kept.
func formError(err error) error {
	var coded *wire.Error
	var reading *readError
	switch {
	case errors.As(err, &coded):
		return coded
	case errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT), errors.Is(err, syscall.EFBIG):
		return wire.NewError(wire.CodeDatabaseUnavailable, "the disk of the server is full; nothing was written")
	case errors.As(err, &reading):
		return invalid("the form is broken or ended early")
	}
	return err
}

// readError is a failure of reading the request, not of keeping its content.
type readError struct{ err error }

func (e *readError) Error() string { return e.err.Error() }
func (e *readError) Unwrap() error { return e.err }

// part takes one part of the form.
func (u *Upload) part(part *multipart.Part, used int64) error {
	name := part.FormName()
	if name == "" {
		return invalid("a part of the form has no good Content-Disposition with a name")
	}
	kind, file, isNamed := strings.Cut(name, ":")
	isFile, isSum := isNamed && kind == "file", isNamed && kind == "sha256"
	if !isFile && !isSum && name != "sql" && name != "params" && name != "namespace_id" {
		_, err := u.readText(part)
		return err
	}
	if len(name) > 255 || isNamed && file == "" {
		return invalid("a part's name is too long or empty")
	}
	if u.seen[name] {
		return invalid(`the form has two parts named "`, name, `"`)
	}
	u.seen[name] = true
	if part.Header.Get("Content-Encoding") != "" {
		return invalid(`the part "`, name, `" has a Content-Encoding; send it as it is`)
	}
	switch strings.ToLower(part.Header.Get("Content-Transfer-Encoding")) {
	case "", "binary", "8bit", "7bit":
	default:
		return invalid(`the part "`, name, `" has a Content-Transfer-Encoding; send it as it is`)
	}
	if isFile {
		return u.file(part, file, used)
	}
	text, err := u.readText(part)
	if err != nil {
		return err
	}
	if !utf8.Valid(text) {
		return invalid(`the part "`, name, `" is not UTF-8`)
	}
	switch name {
	case "sql":
		u.Request.SQL = string(text)
	case "namespace_id":
		u.Request.Namespace = string(text)
	case "params":
		var bad *wire.Error
		if u.Request.Params, bad = wire.DecodeParams(text); bad != nil {
			return bad
		}
	default:
		u.sums[file] = strings.ToLower(strings.TrimSpace(string(text)))
	}
	return nil
}

// readText reads a part that is no file.
func (u *Upload) readText(part io.Reader) ([]byte, error) {
	left := u.s.options.MaxText - u.text
	text, err := io.ReadAll(io.LimitReader(part, left+1))
	if err != nil {
		return nil, &readError{err}
	}
	if u.text += int64(len(text)); int64(len(text)) > left {
		return nil, wire.NewError(wire.CodeBodyTooLarge, "the form is larger than the server accepts beside files: ", strconv.FormatInt(u.s.options.MaxText, 10), " bytes")
	}
	return text, nil
}

// file takes a part with content.
func (u *Upload) file(part *multipart.Part, name string, used int64) error {
	if len(u.files) == u.s.options.MaxFiles {
		return wire.NewError(wire.CodeTooManyFiles, "a request takes ", strconv.Itoa(u.s.options.MaxFiles), " files at most (files.max_files_per_request)")
	}
	f := &store.File{Owner: u.owner}
	f.Name = displayName(part.FileName(), name)
	u.s.place(f)
	in := &content{u: u, r: part, name: name, used: used}
	sum := sha256.New()
	err := u.s.put(f.Key(), func(w io.Writer) error {
		head, err := in.head()
		if err != nil {
			return err
		}
		f.MIME = mimeOf(head, part.Header.Get("Content-Type"))
		if !u.s.allowed(f.MIME) {
			return wire.NewError(wire.CodeInvalidMIMEType, `the file "`, name, `" is of type `, f.MIME, ", which this server does not take (files.allowed_mime_types)")
		}
		return in.copy(io.MultiWriter(w, sum), head)
	})
	if err != nil {
		return err
	}
	f.Size, f.SHA256 = in.size, hex.EncodeToString(sum.Sum(nil))
	u.files[name] = f
	return nil
}

// put puts a content whose reader holds a turn to work: it gives the turn away
// while the disk works, for which it has another.
func (s *Service) put(key string, write func(w io.Writer) error) error {
	written := false
	err := s.blobs.Put(key, func(w io.Writer) error {
		err := write(w)
		written = true
		s.work.give()
		s.syncs.take()
		return err
	})
	if written {
		s.syncs.give()
		s.work.take()
	}
	return err
}

// checkSums compares the contents with what the client says that they are.
func (u *Upload) checkSums() error {
	for name, sum := range u.sums {
		f := u.files[name]
		if f == nil {
			return wire.NewError(wire.CodeMissingFile, `the part "sha256:`, name, `" has no part "file:`, name, `"`)
		}
		if sum != f.SHA256 {
			return wire.NewError(wire.CodeChecksumMismatch, `the file "`, name, `" arrived with another SHA-256 than the part "sha256:`, name, `" says; send it again`)
		}
	}
	return nil
}

const (
	headBytes = 512      // that tell the type of a content
	copyBytes = 64 << 10 // of a content in memory
)

// content is the content of a file as it arrives.
type content struct {
	u    *Upload
	r    io.Reader
	name string
	used int64 // bytes of the owner's files when the upload began
	size int64
}

// head reads the first bytes.
func (c *content) head() ([]byte, error) {
	head := make([]byte, headBytes)
	n, err := io.ReadFull(c.r, head)
	if err != nil && err != io.EOF && err != io.ErrUnexpectedEOF {
		return nil, &readError{err}
	}
	if err != nil {
		// The end of the content, or of the request: reading again tells.
		if _, err := c.r.Read(make([]byte, 1)); err != io.EOF {
			return nil, &readError{err}
		}
	}
	return head[:n], nil
}

// copy writes the content from its head to its end.
func (c *content) copy(w io.Writer, head []byte) error {
	buf := make([]byte, copyBytes)
	n := copy(buf, head)
	for {
		read, err := readSome(c.r, buf[n:])
		n += read
		if bad := c.count(n); bad != nil {
			return bad
		}
		if _, bad := w.Write(buf[:n]); bad != nil {
			return bad
		}
		n = 0
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return &readError{err}
		}
	}
}

// readSome fills buf unless the content ends.
func readSome(r io.Reader, buf []byte) (n int, err error) {
	for n < len(buf) && err == nil {
		var k int
		k, err = r.Read(buf[n:])
		n += k
	}
	return n, err
}

// count checks the limits as bytes arrive.
func (c *content) count(n int) error {
	o := &c.u.s.options
	c.size += int64(n)
	c.u.arrived += int64(n)
	all := c.u.s.arrive(c.u.owner, int64(n))
	switch {
	case c.size > o.MaxBytes:
		return wire.NewError(wire.CodeFileTooLarge, `the file "`, c.name, `" is larger than `, strconv.FormatInt(o.MaxBytes, 10), " bytes (files.max_size_bytes)")
	case c.u.arrived > o.MaxRequest:
		return wire.NewError(wire.CodeFileTooLarge, "the files of the request are larger than ", strconv.FormatInt(o.MaxRequest, 10), " bytes together (files.max_request_bytes)")
	case o.MaxPerUser > 0 && c.used+all > o.MaxPerUser:
		return engine.QuotaError(o.MaxPerUser)
	}
	return nil
}

const maxName = 255

// displayName is the name of a file for people: what the client calls it,
// without path and control characters; else the name of its part.
func displayName(name, part string) string {
	for _, name := range []string{name, part} {
		name = name[strings.LastIndexAny(name, `/\`)+1:]
		name = strings.Map(func(r rune) rune {
			if unicode.IsControl(r) || r == utf8.RuneError || unicode.Is(unicode.Bidi_Control, r) {
				return -1
			}
			return r
		}, name)
		name = strings.TrimSpace(strings.ReplaceAll(name, "%22", `"`)) // as browsers write it
		for len(name) > maxName {
			_, n := utf8.DecodeLastRuneInString(name)
			name = name[:len(name)-n]
		}
		if strings.Trim(name, ".") != "" {
			return name
		}
	}
	return "file"
}

// allowed reports whether files of a type are taken.
func (s *Service) allowed(mime string) bool {
	if len(s.options.AllowedTypes) == 0 {
		return true
	}
	mime, _, _ = strings.Cut(mime, ";")
	for _, t := range s.options.AllowedTypes {
		t = strings.ToLower(strings.TrimSpace(t))
		if prefix, ok := strings.CutSuffix(t, "*"); t == mime || ok && strings.HasPrefix(mime, prefix) {
			return true
		}
	}
	return false
}
