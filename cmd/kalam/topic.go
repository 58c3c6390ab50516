package main

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// topicCmd is kalam topic.
type topicCmd struct {
	Create topicCreateCmd `cmd:"" help:"Make a topic and say which changes go to it."`
	Drop   topicDropCmd   `cmd:"" help:"Remove a topic with its messages and consumer groups."`
	List   topicListCmd   `cmd:"" help:"Show the topics."`
	Tail   topicTailCmd   `cmd:"" help:"Show messages, and with -f the next ones as they come."`
	Lag    topicLagCmd    `cmd:"" help:"Show where consumer groups stand."`
	Reset  topicResetCmd  `cmd:"" help:"Make a consumer group go on from another place."`
}

// topicFlags are those of every command on topics.
type topicFlags struct {
	remote
	User string `short:"u" placeholder:"NAME" help:"Sign in as NAME for this command only, with the password in KALAM_PASSWORD or asked for."`
	JSON bool   `name:"json" help:"Print JSON."`
}

// run signs in, calls fn and signs out again.
func (f *topicFlags) run(s *streams, fn func(ctx context.Context, x *executor) error) error {
	ctx, stop := interruptible()
	defer stop()
	c := sqlCmd{remote: f.remote, User: f.User, Format: "table"}
	if f.JSON {
		c.Format = "json"
	}
	x, end, err := c.open(ctx, s)
	if err != nil {
		return err
	}
	defer end()
	return fn(ctx, x)
}

// quoted is a text as SQL writes it.
func quoted(text string) string { return "'" + strings.ReplaceAll(text, "'", "''") + "'" }

type topicCreateCmd struct {
	topicFlags
	Topic            string   `arg:"" placeholder:"NAMESPACE.TOPIC" help:"Its name."`
	Partitions       int      `default:"1" help:"Parts that are consumed side by side; a row's changes stay in one."`
	Source           []string `sep:"none" placeholder:"TABLE:OP[:PAYLOAD]" help:"A table whose changes go to it: OP is insert, update or delete, PAYLOAD full, key or diff. May be given several times."`
	RetentionSeconds int64    `placeholder:"N" help:"Seconds for which messages are kept (default: 7 days)."`
	RetentionBytes   int64    `placeholder:"N" help:"Bytes that each partition keeps (default: 1 GiB)."`
}

// Help is what kalam topic create --help says beside the flags.
func (topicCreateCmd) Help() string {
	return `Nothing goes to a topic without a source. When a source cannot be added there is no
topic in the end.

    kalam topic create shop.events --source shop.orders:insert --source shop.orders:update:diff

A filter is added in SQL:

    ALTER TOPIC shop.events ADD SOURCE shop.orders ON UPDATE WHERE paid`
}

func (c *topicCreateCmd) Run(s *streams) error {
	text := "CREATE TOPIC " + c.Topic + " PARTITIONS " + strconv.Itoa(c.Partitions)
	var options []string
	if c.RetentionSeconds > 0 {
		options = append(options, "retention_seconds = "+strconv.FormatInt(c.RetentionSeconds, 10))
	}
	if c.RetentionBytes > 0 {
		options = append(options, "retention_max_bytes = "+strconv.FormatInt(c.RetentionBytes, 10))
	}
	if len(options) > 0 {
		text += " WITH (" + strings.Join(options, ", ") + ")"
	}
	var sources []string
	for _, source := range c.Source {
		parts := strings.Split(source, ":")
		if len(parts) < 2 || len(parts) > 3 {
			return &usageError{fmt.Sprintf("%q is not a source: write TABLE:OP or TABLE:OP:PAYLOAD, as in shop.orders:insert", source)}
		}
		alter := "ALTER TOPIC " + c.Topic + " ADD SOURCE " + parts[0] + " ON " + strings.ToUpper(parts[1])
		if len(parts) == 3 {
			alter += " WITH (payload = " + quoted(parts[2]) + ")"
		}
		sources = append(sources, alter)
	}
	return c.run(s, func(ctx context.Context, x *executor) error {
		if err := x.script(ctx, text); err != nil {
			return err
		}
		for _, alter := range sources {
			if err := x.script(ctx, alter); err != nil {
				return c.undo(ctx, x, err)
			}
		}
		return nil
	})
}

// undo removes the topic again, whose sources are not all there.
func (c *topicCreateCmd) undo(ctx context.Context, x *executor, cause error) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
	defer cancel()
	if _, err := x.c.Run(ctx, "DROP TOPIC "+c.Topic); err != nil {
		return fmt.Errorf("%w\nThe topic stays without that source: remove it with kalam topic drop %s (%v)", cause, c.Topic, err)
	}
	return fmt.Errorf("%w\nThe topic is removed again", cause)
}

type topicDropCmd struct {
	topicFlags
	Topic string `arg:"" placeholder:"NAMESPACE.TOPIC" help:"The topic."`
}

func (c *topicDropCmd) Run(s *streams) error {
	return c.run(s, func(ctx context.Context, x *executor) error { return x.script(ctx, "DROP TOPIC "+c.Topic) })
}

type topicListCmd struct{ topicFlags }

func (c *topicListCmd) Run(s *streams) error {
	return c.run(s, func(ctx context.Context, x *executor) error {
		return x.script(ctx, `SELECT topic_id AS topic, partitions, messages, lag, retention_seconds, retention_max_bytes, routes
			FROM system.topics ORDER BY topic_id`)
	})
}

type topicLagCmd struct {
	topicFlags
	Topic string `arg:"" optional:"" placeholder:"NAMESPACE.TOPIC" help:"Only of this topic."`
	Group string `placeholder:"NAME" help:"Only of this consumer group."`
}

// Help is what kalam topic lag --help says beside the flags.
func (topicLagCmd) Help() string {
	return `lag is what a group has not acknowledged, pending what of that its consumers have
now, and dropped what retention removed before they acknowledged it.`
}

func (c *topicLagCmd) Run(s *streams) error {
	where := "true"
	if c.Topic != "" {
		where = "topic_id = " + quoted(c.Topic)
	}
	if c.Group != "" {
		where += " AND group_id = " + quoted(c.Group)
	}
	return c.run(s, func(ctx context.Context, x *executor) error {
		return x.script(ctx, `SELECT topic_id AS topic, group_id AS "group", partition_id AS "partition", last_acked_offset AS acked,
			end_offset - 1 AS newest, lag, pending, dropped, updated_at FROM system.topic_offsets WHERE `+where+` ORDER BY topic_id, group_id, partition_id`)
	})
}

type topicResetCmd struct {
	topicFlags
	Topic     string `arg:"" placeholder:"NAMESPACE.TOPIC" help:"The topic."`
	Group     string `arg:"" placeholder:"GROUP" help:"The consumer group."`
	To        string `required:"" placeholder:"PLACE" help:"Where it goes on: earliest, latest or an offset."`
	Partition *int   `placeholder:"N" help:"Only in this partition."`
}

// Help is what kalam topic reset --help says beside the flags.
func (topicResetCmd) Help() string {
	return `The group gets the messages from there on again, or skips those before it. What its
consumers have at the moment is no longer theirs, and their acknowledgements of it
count for nothing.

    kalam topic reset shop.events mailer --to earliest`
}

func (c *topicResetCmd) Run(s *streams) error {
	to := strings.ToUpper(c.To)
	if to != "EARLIEST" && to != "LATEST" {
		if _, err := strconv.ParseUint(c.To, 10, 63); err != nil {
			return &usageError{fmt.Sprintf("--to is earliest, latest or an offset from 0, not %q", c.To)}
		}
	}
	text := "RESET CONSUMER GROUP " + quoted(c.Group) + " ON " + c.Topic
	if c.Partition != nil {
		text += " PARTITION " + strconv.Itoa(*c.Partition)
	}
	return c.run(s, func(ctx context.Context, x *executor) error { return x.script(ctx, text+" TO "+to) })
}
