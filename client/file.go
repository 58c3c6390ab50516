package client

import (
	"context"
	"strings"
	"time"

	"github.com/kalamdb/kalam-go/wire"
)

// FileRef is what a FILE cell holds: which file, and what the server knows of
// it. Scan takes a *FileRef for such a cell.
type FileRef = wire.FileRef

// FileURL gives a URL that reads the file of a table's row without a token, for
// programs that send none, as a browser for <img src>. It works for as long as
// life says (0: the server's default, five minutes), and no longer than the
// session. Whoever has it can read the file.
func (c *Client) FileURL(ctx context.Context, table string, f *FileRef, life time.Duration) (string, error) {
	link, err := c.SignFile(ctx, c.filePath(table, f), life)
	if err != nil {
		return "", err
	}
	return c.endpoint.http + link.URL, nil
}

// SignFile is FileURL for a path that is known, with what may follow it after a
// question mark.
func (c *Client) SignFile(ctx context.Context, path string, life time.Duration) (link *wire.FileLink, err error) {
	seconds := int((life + time.Second - 1) / time.Second)
	body := wire.AppendFileLinkRequest(nil, &wire.FileLinkRequest{Path: path, ExpiresIn: seconds})
	err = c.authorized(ctx, c.timeout, func(ctx context.Context, token string) error {
		resp, err := c.transport.Do(ctx, &request{Method: "POST", URL: c.endpoint.http + "/v1/api/files/sign", Token: token, Body: body})
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case err != nil:
			return c.noAnswer(err)
		case resp.Status != 200:
			return c.fileError(resp)
		}
		if link, err = wire.DecodeFileLink(resp.Body); err != nil || !strings.HasPrefix(link.URL, "/") {
			return c.notOurs(resp.Status)
		}
		return nil
	})
	return link, err
}

// filePath is where the file of a table is, beneath the server's URL.
func (c *Client) filePath(table string, f *FileRef) string {
	namespace, name, ok := strings.Cut(table, ".")
	if !ok {
		namespace, name = c.namespace, table
	}
	if namespace == "" {
		namespace = "default"
	}
	return f.Path(namespace, name)
}

// fileError makes an error of a refusal by a route of files.
func (c *Client) fileError(resp *response) error {
	if e := wire.DecodeTopicError(resp.Body); e != nil {
		return classify(resp.Status, e)
	}
	return c.strangeAnswer(resp)
}
