package main

import (
	"bufio"
	"context"
	"strings"
	"testing"
	"time"

	"github.com/kalamdb/kalam-go/internal/servertest"
)

func TestTopicCommands(t *testing.T) {
	s := servertest.Start(t, servertest.Options{})
	p := signedIn(t, s, "admin")
	p.ok("", "topic", "create", "chat.events", "--partitions", "2", "--source", "chat.messages:insert", "--source", "chat.messages:update:diff", "--retention-seconds", "3600")
	if out := p.ok("", "topic", "list", "--json"); !strings.Contains(out, `"topic":"chat.events","partitions":2,"messages":"0"`) || !strings.Contains(out, `"retention_seconds":"3600"`) {
		t.Errorf("list: %s", out)
	}
	p.ok("", "sql", "-e", "INSERT INTO chat.messages (id, body) VALUES (1, 'one'), (2, 'two'), (3, 'three'); UPDATE chat.messages SET body = 'ONE' WHERE id = 1")
	out := p.ok("", "topic", "tail", "chat.events", "-n", "2")
	if lines := strings.Count(out, "\n"); lines < 2 || lines > 4 || !strings.Contains(out, `"body":"ONE"`) || !strings.Contains(out, "update  1  admin") {
		t.Errorf("tail: %s", out)
	}
	if out := p.ok("", "topic", "lag"); !strings.Contains(out, "(0 rows)") {
		t.Errorf("tail has left a group: %s", out)
	}
	p.ok("", "sql", "-e", "CONSUME FROM chat.events GROUP 'mail' FROM EARLIEST LIMIT 4")
	if out := p.ok("", "topic", "lag", "chat.events", "--group", "mail", "--json"); strings.Count(out, `"group":"mail"`) != 2 {
		t.Errorf("lag: %s", out)
	}
	p.ok("", "topic", "reset", "chat.events", "mail", "--to", "earliest")
	if out := p.ok("", "sql", "--csv", "-e", "SELECT sum(lag), sum(pending) FROM system.topic_offsets"); !strings.HasSuffix(out, "4,0\n") {
		t.Errorf("after the reset: %s", out)
	}
	o := p.fails(1, "The topic is removed again", "topic", "create", "chat.broken", "--source", "chat.messages:insert", "--source", "chat.nope:insert")
	if out := p.ok("", "topic", "list", "--json"); strings.Contains(out, "chat.broken") || !strings.Contains(o.err, "chat.nope") {
		t.Errorf("after a source that is not there: %s\n%s", out, o.err)
	}
	o = p.fails(1, "already exists", "topic", "create", "chat.events", "--source", "chat.nope:insert")
	p.ok("", "topic", "create", "chat.short")
	p.ok("", "topic", "drop", "chat.short")
	p.fails(1, "does not exist", "topic", "drop", "chat.short")
	if out := p.ok("", "topic", "list", "--json"); strings.Contains(out, "chat.short") || !strings.Contains(out, "chat.events") {
		t.Errorf("after drop, and a create of one that was there (%s): %s", o.err, out)
	}
	p.fails(2, "earliest, latest or an offset", "topic", "reset", "chat.events", "mail", "--to=-1")
	p.fails(2, "not a source", "topic", "create", "chat.x", "--source", "chat.messages")
	p.fails(1, "does not exist", "topic", "tail", "chat.nope")
	p.fails(1, "has no partition 5", "topic", "tail", "chat.events", "--partition", "5")
}

func TestTopicTailFollows(t *testing.T) {
	s := servertest.Start(t, servertest.Options{})
	p := signedIn(t, s, "admin")
	p.ok("", "topic", "create", "chat.events", "--source", "chat.messages:insert")
	ctx, stop := context.WithTimeout(t.Context(), time.Minute)
	defer stop()
	cmd := p.commandContext(ctx, "topic", "tail", "-f", "--json", "chat.events")
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	p.ok("", "sql", "-e", "INSERT INTO chat.messages (id, body) VALUES (1, 'one')")
	lines := bufio.NewScanner(out)
	for _, want := range []string{`"key":"1"`, `"key":"2"`} {
		if !lines.Scan() || !strings.Contains(lines.Text(), want) {
			t.Fatalf("got %q, want %s", lines.Text(), want)
		}
		p.ok("", "sql", "-e", "INSERT INTO chat.messages (id, body) VALUES (2, 'two') ON CONFLICT DO NOTHING")
	}
	stop()
	cmd.Wait()
}
