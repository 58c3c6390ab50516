//go:build !js

package client

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"hash"
	"io"
	"maps"
	"mime/multipart"
	"net/http"
	"net/textproto"
	"slices"
	"sync"

	"github.com/kalamdb/kalam-go/wire"
)

// File is a file to upload.
type File struct {
	// Name is what the file is called. Default: the name in FILE("name").
	Name string
	// Type is its media type, as in "text/markdown". The server looks at the
	// content, and believes this where the content tells little.
	Type string
	// Body is the content. It is read once, from where it stands, and again when
	// the server wants another token, if it is an io.Seeker. One that is not is
	// only lost when its content was on its way already.
	Body io.Reader
	// OnProgress is told how many bytes of the file have left, from the goroutine
	// that sends: about every 32 KiB, and once more from the start after another
	// token was wanted.
	OnProgress func(sent int64)
}

// Files are by the names that FILE("name") calls them.
type Files map[string]File

// ExecFiles runs one statement with files for its FILE("name") and returns how
// many rows it changed. Contents are streamed, and arrive as they left or not at
// all, which a SHA-256 checks. When it fails nothing of it remains. Only the
// context bounds its time.
//
//	f, err := os.Open("cat.png")
//	...
//	_, err = c.ExecFiles(ctx, `INSERT INTO app.photos (id, photo) VALUES ($1, FILE("photo"))`,
//		client.Files{"photo": {Name: "cat.png", Body: f}}, 1)
func (c *Client) ExecFiles(ctx context.Context, sql string, files Files, args ...any) (int64, error) {
	r, err := c.QueryFiles(ctx, sql, files, args...)
	if err != nil {
		return 0, err
	}
	return int64(r.RowCount), nil
}

// QueryFiles is ExecFiles for a statement that gives rows, by RETURNING.
func (c *Client) QueryFiles(ctx context.Context, sql string, files Files, args ...any) (*Result, error) {
	params, err := toParams(args)
	if err != nil {
		return nil, err
	}
	form := newForm(sql, params, c.namespace, files)
	var results []*Result
	err = c.authorized(ctx, 0, func(ctx context.Context, token string) error {
		body, err := form.open()
		if err != nil {
			return err
		}
		resp, err := c.postForm(ctx, token, form, body)
		if err == nil {
			results, err = c.decodeAnswer(resp)
		}
		return err
	})
	switch {
	case err != nil:
		return nil, err
	case len(results) == 0:
		return &Result{columns: &columns{}}, nil
	}
	return results[0], nil
}

func (c *Client) postForm(ctx context.Context, token string, form *form, body *formBody) (*response, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, c.endpoint.http+"/v1/api/sql", body)
	if err != nil {
		return nil, err
	}
	req.Header.Set("Content-Type", form.contentType)
	req.Header.Set("Authorization", "Bearer "+token)
	// A token that has expired, or a form that is too large, is refused before
	// a content is read that may be there only once.
	req.Header.Set("Expect", "100-continue")
	resp, err := c.transport.(*httpTransport).client.Do(req)
	var answer []byte
	if err == nil {
		answer, err = readBody(resp)
		resp.Body.Close()
	}
	sourceErr := body.finish(ctx)
	switch {
	case ctx.Err() != nil:
		return nil, ctx.Err()
	case sourceErr != nil:
		return nil, sourceErr
	case err != nil:
		return nil, c.noAnswer(err)
	}
	return &response{Status: resp.StatusCode, Body: answer}, nil
}

// form is a request with files, which can be sent more than once if its
// contents can.
type form struct {
	contentType string
	begin       []byte // the parts before the files
	parts       []formPart
	end         []byte
	sent        bool // some byte of a content was read
}

type formPart struct {
	name   string
	file   File
	header []byte // before the content
	sum    []byte // between the content and its checksum
	start  int64  // where the content begins
}

func newForm(sql string, params []wire.Value, namespace string, files Files) *form {
	var buf bytes.Buffer
	w := multipart.NewWriter(&buf)
	take := func() []byte {
		defer buf.Reset()
		return bytes.Clone(buf.Bytes())
	}
	w.WriteField("sql", sql) // a bytes.Buffer takes everything
	if len(params) > 0 {
		w.WriteField("params", string(wire.AppendParams(nil, params)))
	}
	if namespace != "" {
		w.WriteField("namespace_id", namespace)
	}
	f := &form{contentType: w.FormDataContentType(), begin: take()}
	for _, name := range slices.Sorted(maps.Keys(files)) {
		file := files[name]
		h := textproto.MIMEHeader{}
		h.Set("Content-Disposition", multipart.FileContentDisposition("file:"+name, cmpOr(file.Name, name)))
		h.Set("Content-Type", cmpOr(file.Type, "application/octet-stream"))
		w.CreatePart(h)
		part := formPart{name: name, file: file, header: take()}
		w.CreateFormField("sha256:" + name)
		part.sum = take()
		if s, ok := file.Body.(io.Seeker); ok {
			var err error
			if part.start, err = s.Seek(0, io.SeekCurrent); err != nil {
				part.start = -1 // a pipe that looks like a file
			}
		} else {
			part.start = -1
		}
		f.parts = append(f.parts, part)
	}
	w.Close()
	f.end = take()
	return f
}

func cmpOr(a, b string) string {
	if a != "" {
		return a
	}
	return b
}

// open begins the form anew.
func (f *form) open() (*formBody, error) {
	readers := []io.Reader{bytes.NewReader(f.begin)}
	for i := range f.parts {
		p := &f.parts[i]
		if p.file.Body == nil {
			return nil, wire.NewError(wire.CodeMissingFile, `the file "`, p.name, `" has no Body`)
		}
		if f.sent {
			s, ok := p.file.Body.(io.Seeker)
			if !ok || p.start < 0 {
				return nil, &failure{
					text:    `the server wanted another token while the file "` + p.name + `" was on its way, and its Body cannot be read again: it is no io.Seeker`,
					classes: []error{ErrTokenExpired, ErrUnauthenticated}, final: true,
				}
			}
			if _, err := s.Seek(p.start, io.SeekStart); err != nil {
				return nil, &failure{text: `read the file "` + p.name + `" again`, cause: err}
			}
		}
		c := &contentReader{form: f, part: p, sum: sha256.New()}
		readers = append(readers, bytes.NewReader(p.header), c, bytes.NewReader(p.sum), &sumReader{sum: c.sum})
	}
	return &formBody{r: io.MultiReader(append(readers, bytes.NewReader(f.end))...)}, nil
}

// contentReader reads a content, sums it up and tells how far it is.
type contentReader struct {
	form *form
	part *formPart
	sum  hash.Hash
	n    int64
}

func (c *contentReader) Read(p []byte) (int, error) {
	n, err := c.part.file.Body.Read(p)
	if n > 0 {
		c.form.sent = true
		c.sum.Write(p[:n])
		c.n += int64(n)
		if tell := c.part.file.OnProgress; tell != nil {
			tell(c.n)
		}
	}
	if err != nil && err != io.EOF {
		err = &failure{text: `read the file "` + c.part.name + `"`, cause: err}
	}
	return n, err
}

// sumReader gives the checksum of what was summed up before it is read.
type sumReader struct {
	sum  hash.Hash
	text *bytes.Reader
}

func (s *sumReader) Read(p []byte) (int, error) {
	if s.text == nil {
		s.text = bytes.NewReader([]byte(hex.EncodeToString(s.sum.Sum(nil))))
	}
	return s.text.Read(p)
}

// formBody is a form on its way. The transport may still read it when it has
// given us the answer.
type formBody struct {
	r io.Reader

	mu  sync.Mutex // guards what follows; held while a source is read
	end bool
	err error // of a source
}

// Read implements io.Reader.
func (b *formBody) Read(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.end {
		return 0, errors.New("the upload is over")
	}
	n, err := b.r.Read(p)
	if err != nil && err != io.EOF {
		b.err = err
	}
	return n, err
}

// finish keeps the transport from reading on and waits for a Read that is under
// way, for no longer than ctx. It gives the error of a source.
func (b *formBody) finish(ctx context.Context) error {
	done := make(chan error, 1)
	go func() {
		b.mu.Lock()
		defer b.mu.Unlock()
		b.end = true
		done <- b.err
	}()
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}
