package engine

import (
	"context"
	"slices"

	"github.com/kalamdb/kalam-go/internal/catalog"
	"github.com/kalamdb/kalam-go/internal/ddl"
	"github.com/kalamdb/kalam-go/internal/dialect"
	"github.com/kalamdb/kalam-go/internal/fault"
	"github.com/kalamdb/kalam-go/internal/identity"
	"github.com/kalamdb/kalam-go/internal/right"
	"github.com/kalamdb/kalam-go/internal/store"
	"github.com/kalamdb/kalam-go/internal/topic"
	"github.com/kalamdb/kalam-go/wire"
)

// Topics is what keeps the messages.
func (e *Engine) Topics() *topic.Service { return e.topics }

// mayConsume is the right to consume a topic: administrators, and of the role
// service who was granted it.
func mayConsume(who *identity.Principal, t *catalog.Topic) error {
	if err := isWorker(who); err != nil {
		return err
	}
	if err := right.TopicInScope(who.Scope, t); err != nil || who.IsAdmin() {
		return err
	}
	ok := slices.ContainsFunc(t.Grants, func(g catalog.Grant) bool {
		return g.Role && g.To == who.Role || !g.Role && g.To == who.UserID
	})
	if ok {
		return nil
	}
	return wire.NewError(wire.CodePermissionDenied, "permission denied: '", who.UserID, "' may not consume topic ", t.FullName(),
		". An administrator grants it with GRANT CONSUME ON TOPIC ", t.FullName(), " TO USER '", who.UserID, "'")
}

// isWorker is the role that consuming anything needs.
func isWorker(who *identity.Principal) error {
	return right.Check(who.Role, right.ConsumeTopics, "")
}

// consumed finds a topic that who may consume.
func (e *Engine) consumed(who *identity.Principal, name string) (*catalog.Topic, error) {
	if err := isWorker(who); err != nil {
		return nil, err
	}
	for _, t := range e.db.Catalog().Topics() {
		if t.FullName() == name {
			if err := mayConsume(who, t); err != nil {
				return nil, err
			}
			return t, nil
		}
	}
	return nil, wire.NewError(wire.CodeTopicNotFound, "Topic '", name, "' does not exist")
}

// Consumer is a request to consume that is under way; see topic.Consumer.
type Consumer struct {
	e     *Engine
	r     *wire.ConsumeRequest
	topic *topic.Consumer
}

// Consume begins what a request asks for. The caller ends it.
func (e *Engine) Consume(r *wire.ConsumeRequest) *Consumer {
	return &Consumer{e, r, e.topics.Consume(r)}
}

// End ends the request.
func (c *Consumer) End() { c.topic.End() }

// Lease leases for who the messages that there are now.
func (c *Consumer) Lease(ctx context.Context, who *identity.Principal) (*wire.ConsumeResponse, error) {
	t, err := c.e.consumed(who, c.r.Topic)
	if err != nil {
		return nil, err
	}
	l, err := c.topic.Lease(ctx, who.UserID, t)
	if err != nil {
		return nil, c.e.Visible(ctx, slowWrite(err))
	}
	return &wire.ConsumeResponse{Messages: l.Messages, Next: l.Next, HasMore: l.More, Lag: l.Lag, Lease: c.e.topics.Visibility().Milliseconds()}, nil
}

// Wait waits as the request says until there may be messages, and reports whether
// the caller shall look again.
func (c *Consumer) Wait(ctx context.Context) (again bool, err error) {
	again, err = c.topic.Wait(ctx)
	return again, c.e.Visible(ctx, err)
}

// Settle acknowledges, gives back or extends what a consumer has leased.
func (e *Engine) Settle(ctx context.Context, who *identity.Principal, r *wire.AckRequest, kind topic.Settle) (*wire.AckResponse, error) {
	t, err := e.consumed(who, r.Topic)
	if err != nil {
		return nil, err
	}
	resp, err := e.topics.Settle(ctx, who.UserID, t, r, kind)
	return resp, e.Visible(ctx, slowWrite(err))
}

// route stores the messages that follow from what a transaction has changed. It
// is the last thing that the transaction does.
func (r *run) route(tx *store.Tx) error {
	return r.e.topics.Route(tx, r.who.UserID, r.who.Role)
}

var consumeFields = []wire.Field{
	{Name: "topic_id", Type: wire.Type{Kind: wire.Text}, Index: 0},
	{Name: "partition_id", Type: wire.Type{Kind: wire.Int}, Index: 1},
	{Name: "offset", Type: wire.Type{Kind: wire.BigInt}, Index: 2},
	{Name: "key", Type: wire.Type{Kind: wire.Text}, Index: 3},
	{Name: "payload", Type: wire.Type{Kind: wire.Bytes}, Index: 4},
	{Name: "timestamp_ms", Type: wire.Type{Kind: wire.BigInt}, Index: 5},
	{Name: "user_id", Type: wire.Type{Kind: wire.Text}, Index: 6},
	{Name: "op", Type: wire.Type{Kind: wire.Text}, Index: 7},
}

// topicOf finds the topic of a statement, which the caller must have a grant on.
func (r *run) topicOf(tx *store.Tx, p *plan, name dialect.Name) (*catalog.Topic, error) {
	t, err := ddl.FindTopic(tx.Catalog(), r.namespace, name)
	if err == nil {
		err = mayConsume(r.who, t)
	}
	return t, fault.At(p.source, name[0].Pos, err)
}

// consumption is CONSUME: with a group it leases, without one it only reads.
type consumption struct{ tree *dialect.Consume }

var _ = add(anywhere, right.Need{Right: right.ConsumeTopics, Reach: right.Writing}, func(_ context.Context, b *binding, s *dialect.Consume) (statement, error) {
	b.p.once = true
	return &consumption{s}, nil
})

func (c *consumption) reads() bool      { return c.tree.Group == nil }
func (c *consumption) query() *Prepared { return nil }

func (c *consumption) run(r *run, tx *store.Tx, p *plan, _ []wire.Value) (wire.Result, error) {
	s := c.tree
	t, err := r.topicOf(tx, p, s.Topic)
	if err != nil {
		return wire.Result{}, err
	}
	req := &wire.ConsumeRequest{Limit: 100, AllPartitions: s.Partition == nil}
	if s.Limit != nil {
		req.Limit = *s.Limit
	}
	req.Limit = min(req.Limit, r.e.options.MaxRows)
	if s.Partition != nil {
		req.Partition = *s.Partition
	}
	if s.Start != nil {
		req.Start = ddl.StartOf(*s.Start)
	}
	var list []wire.TopicMessage
	if s.Group == nil {
		list, _, err = r.e.topics.Peek(tx, t, req, r.e.options.MaxBytes)
	} else {
		var l *topic.Lease
		req.Group = *s.Group
		if l, err = r.e.topics.LeaseIn(tx, t, req); err == nil {
			list = l.Messages
		}
	}
	if err != nil {
		return wire.Result{}, err
	}
	out := rowList{e: r.e, run: r}
	for i := range list {
		m := &list[i]
		key, user := wire.Null, wire.Null
		if m.HasKey {
			key = wire.TextValue(m.Key)
		}
		if m.User != "" {
			user = wire.TextValue(m.User)
		}
		err := out.add([]wire.Value{
			wire.TextValue(m.Topic), wire.IntValue(int64(m.Partition)), wire.IntValue(m.Offset), key, wire.BytesValue([]byte(m.Payload)),
			wire.IntValue(m.TimestampMS), user, wire.TextValue(m.Op),
		})
		if err != nil {
			return wire.Result{}, err
		}
	}
	return wire.Result{Schema: consumeFields, Rows: out.rows, RowCount: len(out.rows), AsUser: r.who.UserID}, nil
}

var ackFields = []wire.Field{
	{Name: "topic", Type: wire.Type{Kind: wire.Text}, Index: 0},
	{Name: "group_id", Type: wire.Type{Kind: wire.Text}, Index: 1},
	{Name: "partition", Type: wire.Type{Kind: wire.Int}, Index: 2},
	{Name: "committed_offset", Type: wire.Type{Kind: wire.BigInt}, Index: 3},
}

// settlement is ACK, which is about what CONSUME has leased.
type settlement struct{ tree *dialect.Ack }

var _ = add(anywhere, right.Need{Right: right.ConsumeTopics, Reach: right.Writing}, func(_ context.Context, b *binding, s *dialect.Ack) (statement, error) {
	b.p.once = true
	return &settlement{s}, nil
})

func (a *settlement) reads() bool      { return false }
func (a *settlement) query() *Prepared { return nil }

func (a *settlement) run(r *run, tx *store.Tx, p *plan, _ []wire.Value) (wire.Result, error) {
	s := a.tree
	t, err := r.topicOf(tx, p, s.Topic)
	if err != nil {
		return wire.Result{}, err
	}
	req := &wire.AckRequest{Group: s.Group, HasUpTo: true, UpTo: int64(s.UpTo)}
	if s.Partition != nil {
		req.Partition = *s.Partition
	}
	if _, err := r.e.topics.SettleIn(tx, t, req, topic.Ack); err != nil {
		return wire.Result{}, err
	}
	committed, err := r.e.topics.Committed(tx, t, s.Group, req.Partition)
	if err != nil {
		return wire.Result{}, err
	}
	row := []wire.Value{wire.TextValue(t.FullName()), wire.TextValue(s.Group), wire.IntValue(int64(req.Partition)), wire.IntValue(committed)}
	return wire.Result{Schema: ackFields, Rows: [][]wire.Value{row}, RowCount: 1, AsUser: r.who.UserID}, nil
}
