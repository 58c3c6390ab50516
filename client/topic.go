package client

import (
	"context"
	"time"

	"github.com/kalamdb/kalam-go/wire"
)

// Consume asks once for messages of a topic. Package consumer has the loop
// around it, and the rest of what a worker needs. A request that names its
// Consumer, or that peeks, waits at the server for up to r.Timeout seconds.
func (c *Client) Consume(ctx context.Context, r *wire.ConsumeRequest) (*wire.ConsumeResponse, error) {
	var answer *wire.ConsumeResponse
	body := wire.AppendConsumeRequest(nil, r)
	err := c.topicCall(ctx, "consume", body, time.Duration(r.Timeout)*time.Second, func(b []byte) (err error) {
		answer, err = wire.DecodeConsumeResponse(b)
		return err
	})
	return answer, err
}

// Ack acknowledges messages of a topic.
func (c *Client) Ack(ctx context.Context, r *wire.AckRequest) (*wire.AckResponse, error) {
	return c.settle(ctx, "ack", r)
}

// Nack gives messages back, for somebody to have them again after r.DelayMS.
func (c *Client) Nack(ctx context.Context, r *wire.AckRequest) (*wire.AckResponse, error) {
	return c.settle(ctx, "nack", r)
}

// Extend keeps messages for as long again as when they were leased.
func (c *Client) Extend(ctx context.Context, r *wire.AckRequest) (*wire.AckResponse, error) {
	return c.settle(ctx, "extend", r)
}

func (c *Client) settle(ctx context.Context, route string, r *wire.AckRequest) (*wire.AckResponse, error) {
	var answer *wire.AckResponse
	err := c.topicCall(ctx, route, wire.AppendAckRequest(nil, r), 0, func(b []byte) (err error) {
		answer, err = wire.DecodeAckResponse(b)
		return err
	})
	return answer, err
}

// topicCall does a request of a topic route with a token, within the client's
// time for a request and what it waits at the server. When the server does not
// accept the token the session is renewed and the request sent once more.
func (c *Client) topicCall(ctx context.Context, route string, body []byte, wait time.Duration, decode func([]byte) error) error {
	return c.authorized(ctx, c.timeout+wait, func(ctx context.Context, token string) error {
		return c.postTopic(ctx, route, token, body, decode)
	})
}

func (c *Client) postTopic(ctx context.Context, route, token string, body []byte, decode func([]byte) error) error {
	resp, err := c.transport.Do(ctx, &request{Method: "POST", URL: c.endpoint.http + "/v1/api/topics/" + route, Token: token, Body: body})
	if err != nil {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		return c.noAnswer(err)
	}
	if resp.Status != 200 {
		e := wire.DecodeTopicError(resp.Body)
		if e == nil {
			return c.strangeAnswer(resp)
		}
		err := classify(resp.Status, e)
		if e.Code == wire.CodeSetupRequired {
			err = &failure{cause: err, final: true}
		}
		return err
	}
	if err := decode(resp.Body); err != nil {
		return c.notOurs(resp.Status)
	}
	return nil
}
