package client

import "context"

// Upload has post send a form with files to URL() + "/v1/api/sql", with a token,
// and gives the answer's body as Send does. When the server does not accept the
// token, post is called once more with another one. It has no time limit but
// that of its context.
func (c *Client) Upload(ctx context.Context, post func(ctx context.Context, token string) (status int, body []byte, err error)) (answer []byte, err error) {
	err = c.authorized(ctx, 0, func(ctx context.Context, token string) error {
		status, body, err := post(ctx, token)
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case err != nil:
			return c.noAnswer(err)
		}
		answer, err = c.rawAnswer(&response{Status: status, Body: body})
		return err
	})
	return answer, err
}
