package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/kalamdb/kalam-go/client"
	"github.com/kalamdb/kalam-go/wire"
)

type topicTailCmd struct {
	topicFlags
	Topic     string `arg:"" placeholder:"NAMESPACE.TOPIC" help:"The topic."`
	Follow    bool   `short:"f" help:"Go on with the next messages as they come, until Ctrl-C."`
	Lines     int    `short:"n" default:"10" help:"The last messages of each partition to begin with."`
	Partition *int   `placeholder:"N" help:"Only this partition."`
}

// Help is what kalam topic tail --help says beside the flags.
func (topicTailCmd) Help() string {
	return `It only looks: no consumer group is touched. A line has the time, partition and offset,
the operation, the row's key, the user, and the payload.

    kalam topic tail -f shop.events`
}

func (c *topicTailCmd) Run(s *streams) error {
	return c.run(s, func(ctx context.Context, x *executor) error {
		err := (&tail{topicTailCmd: c, x: x}).run(ctx)
		if ctx.Err() != nil && c.Follow {
			return nil // its regular end
		}
		return explain(err, x.url)
	})
}

// tail prints the messages of one topic.
type tail struct {
	*topicTailCmd
	x *executor

	mu sync.Mutex // one message after the other
}

func (t *tail) run(ctx context.Context) error {
	next, err := t.ends(ctx)
	if err != nil {
		return err
	}
	var first []wire.TopicMessage
	for part, end := range next {
		at := max(end-int64(t.Lines), 0)
		for at < end {
			r, err := t.look(ctx, part, wire.TopicStart{HasOffset: true, Offset: at}, int(end-at), 0)
			if err != nil {
				return err
			}
			if len(r.Messages) == 0 {
				break
			}
			first, at = append(first, r.Messages...), r.Next
		}
	}
	slices.SortStableFunc(first, func(a, b wire.TopicMessage) int { return cmp.Compare(a.TimestampMS, b.TimestampMS) })
	if err := t.print(first); err != nil || !t.Follow {
		return err
	}
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	var parts sync.WaitGroup
	for part, end := range next {
		parts.Go(func() {
			if err := t.follow(ctx, part, end); err != nil {
				stop(err)
			}
		})
	}
	parts.Wait()
	return context.Cause(ctx)
}

// ends finds the partitions, each with the offset of its next message.
func (t *tail) ends(ctx context.Context) (map[int]int64, error) {
	out := make(map[int]int64)
	for part := 0; ; part++ {
		if t.Partition != nil {
			part = *t.Partition
		}
		r, err := t.look(ctx, part, wire.TopicStart{}, 1, 0)
		if errors.Is(err, &wire.Error{Code: wire.CodePartition}) && part > 0 && t.Partition == nil {
			return out, nil
		}
		if err != nil {
			return nil, err
		}
		out[part] = r.Next
		if t.Partition != nil {
			return out, nil
		}
	}
}

// follow prints what comes in one partition, and waits while the server is away.
func (t *tail) follow(ctx context.Context, part int, at int64) error {
	for {
		r, err := t.look(ctx, part, wire.TopicStart{HasOffset: true, Offset: at}, 100, 30)
		switch {
		case ctx.Err() != nil:
			return nil
		case errors.Is(err, client.ErrUnavailable):
			select {
			case <-time.After(time.Second):
			case <-ctx.Done():
			}
			continue
		case err != nil:
			return err
		}
		if err := t.print(r.Messages); err != nil {
			return err
		}
		at = r.Next
	}
}

func (t *tail) look(ctx context.Context, part int, from wire.TopicStart, limit, wait int) (*wire.ConsumeResponse, error) {
	return t.x.c.Consume(ctx, &wire.ConsumeRequest{Topic: t.Topic, Peek: true, Partition: part, Start: from, Limit: limit, Timeout: wait})
}

func (t *tail) print(list []wire.TopicMessage) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	for i := range list {
		m := &list[i]
		var line string
		if t.JSON {
			line = string(appendTopicMessage(nil, m))
		} else {
			line = fmt.Sprintf("%s  %d/%d  %s  %s  %s  %s", time.UnixMilli(m.TimestampMS).UTC().Format("2006-01-02T15:04:05.000Z"), m.Partition, m.Offset,
				m.Op, printable(m.Key), printable(m.User), printable(m.Payload))
		}
		if _, err := fmt.Fprintln(t.x.s.out, line); err != nil {
			return err
		}
	}
	return nil
}

// appendTopicMessage writes a message as a JSON object, its payload as it is.
func appendTopicMessage(b []byte, m *wire.TopicMessage) []byte {
	b = append(b, `{"partition":`...)
	b = strconv.AppendInt(b, int64(m.Partition), 10)
	b = append(b, `,"offset":`...)
	b = strconv.AppendInt(b, m.Offset, 10)
	b = append(b, `,"timestamp_ms":`...)
	b = strconv.AppendInt(b, m.TimestampMS, 10)
	b = append(b, `,"op":`...)
	b = wire.AppendString(b, m.Op)
	b = append(b, `,"key":`...)
	if m.HasKey {
		b = wire.AppendString(b, m.Key)
	} else {
		b = append(b, "null"...)
	}
	b = append(b, `,"user":`...)
	b = wire.AppendString(b, m.User)
	b = append(b, `,"payload":`...)
	b = append(b, m.Payload...)
	return append(b, '}')
}
