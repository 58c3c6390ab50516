//go:build !js

package client

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strconv"

	"github.com/kalamdb/kalam-go/wire"
)

// Range is a part of a file. The zero Range is all of it.
type Range struct {
	Offset int64 // of the first byte
	Length int64 // 0: to the end
}

// OpenFile reads the file of a table's row, or a part of it. Whether the user
// may read the row is checked now. A file that ends early is an
// io.ErrUnexpectedEOF; whoever wants to go on opens the rest as a Range. The
// context ends reading, too, and Close must be called. A file that is not there
// or not for this user is a *wire.Error with code FILE_NOT_FOUND.
func (c *Client) OpenFile(ctx context.Context, table string, f *FileRef, part Range) (body io.ReadCloser, err error) {
	if part.Offset < 0 || part.Length < 0 {
		return nil, wire.NewError(wire.CodeInvalidInput, "the range of a file begins before it, or ends before it begins")
	}
	ctx, leave, err := c.enter(ctx, 0)
	if err != nil {
		return nil, err
	}
	err = c.withToken(ctx, func(ctx context.Context, token string) error {
		body, err = c.getFile(ctx, token, c.endpoint.http+c.filePath(table, f), part)
		return err
	})
	if err != nil {
		return nil, leave(err)
	}
	return &fileBody{body, leave}, nil
}

// fileBody is the content of a file that is being read.
type fileBody struct {
	io.ReadCloser
	leave func(error) error
}

// Close implements io.Closer.
func (b *fileBody) Close() error {
	return errors.Join(b.ReadCloser.Close(), b.leave(nil))
}

func (c *Client) getFile(ctx context.Context, token, url string, part Range) (io.ReadCloser, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return nil, err
	}
	req.Header.Set("Authorization", "Bearer "+token)
	want := http.StatusOK
	if part != (Range{}) {
		want = http.StatusPartialContent
		value := "bytes=" + strconv.FormatInt(part.Offset, 10) + "-"
		if part.Length > 0 {
			value += strconv.FormatInt(part.Offset+part.Length-1, 10)
		}
		req.Header.Set("Range", value)
	}
	resp, err := c.transport.(*httpTransport).client.Do(req)
	switch {
	case ctx.Err() != nil:
		return nil, ctx.Err()
	case err != nil:
		return nil, c.noAnswer(err)
	case resp.StatusCode == want:
		return resp.Body, nil
	}
	defer resp.Body.Close()
	switch resp.StatusCode {
	case http.StatusOK:
		return nil, c.otherVersion(resp.StatusCode)
	case http.StatusRequestedRangeNotSatisfiable:
		return nil, wire.NewError(wire.CodeInvalidInput, "the range begins after the end of the file")
	}
	text, err := io.ReadAll(io.LimitReader(resp.Body, 1<<20))
	if err != nil {
		return nil, c.noAnswer(errors.Join(errors.New("status "+resp.Status), err))
	}
	return nil, c.fileError(&response{Status: resp.StatusCode, Body: text})
}
