package ddl

import (
	"errors"
	"slices"
	"strconv"
	"strings"

	"github.com/kalamdb/kalam-go/internal/catalog"
	"github.com/kalamdb/kalam-go/internal/dialect"
	"github.com/kalamdb/kalam-go/internal/identity"
	"github.com/kalamdb/kalam-go/internal/right"
	"github.com/kalamdb/kalam-go/internal/store"
	"github.com/kalamdb/kalam-go/internal/topic"
	"github.com/kalamdb/kalam-go/wire"
)

// The bounds of a definition.
const (
	maxPartitions = 256
	maxSources    = 256
	maxGrants     = 1000
)

var (
	_ = administers("CREATE TOPIC", (*Request).createTopic)
	_ = administers("ALTER TOPIC", (*Request).alterTopic)
	_ = administers("DROP TOPIC", (*Request).dropTopic)
	_ = administers("CLEAR TOPIC", (*Request).clearTopic)
	_ = administers("RESET CONSUMER GROUP", (*Request).resetGroup)
	_ = enter(always[*dialect.Grant](right.Need{Right: right.Administer, What: "GRANT and REVOKE"}), func(r *Request, tree *dialect.Grant) (*Statement, error) {
		s := *tree
		if err := r.bindTexts(&s.To); err != nil {
			return nil, err
		}
		return runs((*Request).grant)(r, &s)
	})
)

// FindTopic finds the topic that a name stands for.
func FindTopic(c *catalog.Snapshot, namespace string, name dialect.Name) (*catalog.Topic, error) {
	if len(name) == 2 {
		namespace = name[0].Name
	}
	if len(name) <= 2 {
		if t := c.Topic(namespace, name[len(name)-1].Name); t != nil {
			return t, nil
		}
	}
	return nil, wire.NewError(wire.CodeTopicNotFound, "Topic '", dialect.Print(&dialect.Column{Name: name}), "' does not exist")
}

// topic finds a topic that must be there.
func (r *Request) topic(tx *store.Tx, name dialect.Name) (*catalog.Topic, error) {
	t, err := FindTopic(tx.Catalog(), r.Namespace, name)
	return t, r.at(name[0].Pos, err)
}

func (r *Request) createTopic(tx *store.Tx, s *dialect.CreateTopic) (wire.Result, error) {
	last := s.Name[len(s.Name)-1]
	if len(s.Name) != 2 {
		return wire.Result{}, r.fail(s.Name[0].Pos, wire.CodeInvalidSQL, "the name of a topic must be qualified: namespace.topic")
	}
	t := &catalog.Topic{Namespace: s.Name[0].Name, Name: last.Name, Partitions: 1}
	t.RetentionSeconds, t.RetentionBytes = r.Topics.Retention()
	if err := r.checkName(last); err != nil {
		return wire.Result{}, err
	}
	if tx.Catalog().Namespace(t.Namespace) == nil {
		return wire.Result{}, r.at(s.Name[0].Pos, NoNamespace(t.Namespace))
	}
	if catalog.OwnNamespace(t.Namespace) {
		return wire.Result{}, r.fail(s.Name[0].Pos, wire.CodePermissionDenied, "permission denied: nobody creates topics in namespace ", t.Namespace)
	}
	if tx.Catalog().Topic(t.Namespace, t.Name) != nil {
		if s.IfNotExists {
			return r.done("Topic '" + t.FullName() + "' already exists"), nil
		}
		return wire.Result{}, r.fail(last.Pos, wire.CodeAlreadyExists, "Topic '", t.FullName(), "' already exists")
	}
	if s.Partitions != nil {
		t.Partitions = *s.Partitions
	}
	if t.Partitions < 1 || t.Partitions > maxPartitions {
		return wire.Result{}, r.fail(s.Pos(), wire.CodeInvalidSQL, "a topic has 1 to ", strconv.Itoa(maxPartitions), " partitions")
	}
	if err := r.retention(t, s.Options); err != nil {
		return wire.Result{}, err
	}
	if err := tx.CreateTopic(t); err != nil {
		return wire.Result{}, err
	}
	return r.done("Topic '" + t.FullName() + "' created with " + strconv.Itoa(t.Partitions) + " partition(s)"), r.Topics.Create(tx, t)
}

// retention reads WITH (retention_seconds = n, retention_max_bytes = n).
func (r *Request) retention(t *catalog.Topic, list []dialect.Option) error {
	for _, o := range list {
		into := &t.RetentionSeconds
		switch o.Key {
		case "RETENTION_SECONDS":
		case "RETENTION_MAX_BYTES":
			into = &t.RetentionBytes
		default:
			return r.fail(o.At, wire.CodeInvalidSQL, "unknown topic option ", o.Key, ": there are RETENTION_SECONDS and RETENTION_MAX_BYTES")
		}
		if _, null := o.Value.(*dialect.Null); null {
			*into = 0
			continue
		}
		text, _ := optionText(o)
		n, err := strconv.ParseInt(text, 10, 64)
		if err != nil || n < 1 || n > 1<<53 {
			return r.fail(o.At, wire.CodeInvalidSQL, o.Key, " is a whole number from 1, or NULL for no limit")
		}
		*into = n
	}
	return nil
}

func (r *Request) alterTopic(tx *store.Tx, s *dialect.AlterTopic) (wire.Result, error) {
	old, err := r.topic(tx, s.Name)
	if err != nil {
		return wire.Result{}, err
	}
	t := old.Clone()
	message := ""
	switch a := s.Action.(type) {
	case *dialect.AddSource:
		message, err = r.addSource(tx, t, a)
	case *dialect.DropSource:
		message, err = r.dropSource(tx, t, a)
	case *dialect.SetRetention:
		message = "Retention of topic '" + t.FullName() + "' set"
		if len(a.Options) == 0 {
			t.RetentionSeconds, t.RetentionBytes = 0, 0
			message = "Retention of topic '" + t.FullName() + "' cleared: it keeps everything"
		}
		err = r.retention(t, a.Options)
	}
	if err != nil {
		return wire.Result{}, err
	}
	return r.done(message), tx.RedefineTopic(t)
}

// source finds the table of a source.
func (r *Request) source(tx *store.Tx, name dialect.Name) (*catalog.Table, error) {
	table := r.lookup(tx.Catalog(), name)
	switch {
	case table == nil || len(name) > 2:
		return nil, r.fail(name[0].Pos, wire.CodeTableNotFound, "Table not found: ", name[len(name)-1].Name, " does not exist")
	case table.Kind == catalog.System:
		return nil, r.fail(name[0].Pos, wire.CodeInvalidSQL, table.FullName(), " is a system table, which cannot be the source of a topic")
	}
	return table, nil
}

func (r *Request) addSource(tx *store.Tx, t *catalog.Topic, a *dialect.AddSource) (string, error) {
	table, err := r.source(tx, a.Table)
	if err != nil {
		return "", err
	}
	x := catalog.Source{Table: table.ID, Op: strings.ToLower(a.Op), Payload: "full"}
	if slices.ContainsFunc(t.Sources, func(s catalog.Source) bool { return s.Table == x.Table && s.Op == x.Op }) {
		if a.IfNotExists {
			return "Topic '" + t.FullName() + "' has a source " + table.FullName() + " ON " + a.Op + " already", nil
		}
		return "", r.fail(a.Table[0].Pos, wire.CodeAlreadyExists, "Topic '", t.FullName(), "' has a source ", table.FullName(), " ON ", a.Op, " already: it already exists")
	}
	if len(t.Sources) >= maxSources {
		return "", r.fail(a.Pos(), wire.CodeInvalidSQL, "a topic has ", strconv.Itoa(maxSources), " sources at most")
	}
	for _, o := range a.Options {
		text, _ := optionText(o)
		text = strings.ToLower(text)
		if o.Key != "PAYLOAD" || text != "full" && text != "key" && text != "diff" {
			return "", r.fail(o.At, wire.CodeInvalidSQL, "the option of a source is PAYLOAD = 'full', 'key' or 'diff'")
		}
		x.Payload = text
	}
	if x.Payload == "key" && len(table.Key) == 0 {
		return "", r.fail(a.Table[0].Pos, wire.CodeInvalidSQL, table.FullName(), " has no primary key, so there is no payload 'key' of it")
	}
	if a.Where != nil {
		x.Where = dialect.Print(a.Where)
		if _, err := topic.BindFilter(table, x.Where); err != nil {
			return "", r.at(a.Where.Pos(), err)
		}
	}
	t.Sources = append(t.Sources, x)
	return "Topic '" + t.FullName() + "' has the source " + table.FullName() + " ON " + a.Op, nil
}

func (r *Request) dropSource(tx *store.Tx, t *catalog.Topic, a *dialect.DropSource) (string, error) {
	table, err := r.source(tx, a.Table)
	if err != nil {
		return "", err
	}
	n := len(t.Sources)
	t.Sources = slices.DeleteFunc(t.Sources, func(s catalog.Source) bool { return s.Table == table.ID && strings.EqualFold(s.Op, a.Op) })
	if len(t.Sources) == n {
		return "", r.fail(a.Table[0].Pos, wire.CodeInvalidSQL, "Topic '", t.FullName(), "' has no source ", table.FullName(), " ON ", a.Op, ": it does not exist")
	}
	return "Topic '" + t.FullName() + "' no longer has the source " + table.FullName() + " ON " + a.Op, nil
}

func (r *Request) dropTopic(tx *store.Tx, s *dialect.DropTopic) (wire.Result, error) {
	t, err := r.topic(tx, s.Name)
	if err != nil {
		if s.IfExists {
			return r.done("Topic '" + dialect.Print(&dialect.Column{Name: s.Name}) + "' does not exist"), nil
		}
		return wire.Result{}, err
	}
	return r.done("Topic '" + t.FullName() + "' dropped; a cleanup job removes its messages"), tx.DropTopic(t)
}

func (r *Request) clearTopic(tx *store.Tx, s *dialect.ClearTopic) (wire.Result, error) {
	t, err := r.topic(tx, s.Name)
	if err != nil {
		return wire.Result{}, err
	}
	return r.done("Topic '" + t.FullName() + "' cleared; a cleanup job removes its messages"), r.Topics.Clear(tx, t)
}

func (r *Request) grant(tx *store.Tx, s *dialect.Grant) (wire.Result, error) {
	old, err := r.topic(tx, s.Topic)
	if err != nil {
		return wire.Result{}, err
	}
	g := catalog.Grant{Role: s.Role, To: s.To.Value}
	what := "user '" + g.To + "'"
	if g.Role {
		role, ok := identity.ParseRole(g.To)
		if !ok {
			return wire.Result{}, r.fail(s.To.Pos, wire.CodeInvalidSQL, "there is no role '", g.To, "'")
		}
		g.To, what = role, "role "+role
	}
	t := old.Clone()
	t.Grants = slices.DeleteFunc(t.Grants, func(x catalog.Grant) bool { return x == g })
	if s.Revoke {
		if len(t.Grants) == len(old.Grants) {
			return wire.Result{}, r.fail(s.To.Pos, wire.CodeInvalidSQL, what, " has no grant on topic '", t.FullName(), "'")
		}
		return r.done("CONSUME on topic '" + t.FullName() + "' revoked from " + what), tx.RedefineTopic(t)
	}
	role := g.To
	if !g.Role {
		if role, err = identity.RoleOf(tx, g.To); err != nil {
			return wire.Result{}, r.at(s.To.Pos, err)
		}
	}
	if right.Check(role, right.ConsumeTopics, "") != nil {
		return wire.Result{}, r.fail(s.To.Pos, wire.CodeInvalidSQL, "CONSUME needs the role service, dba, or system, which ", what, " is not: a topic shows rows of all users")
	}
	if len(t.Grants) >= maxGrants {
		return wire.Result{}, r.fail(s.Pos(), wire.CodeInvalidSQL, "a topic has ", strconv.Itoa(maxGrants), " grants at most; grant to a role")
	}
	t.Grants = append(t.Grants, g)
	return r.done("CONSUME on topic '" + t.FullName() + "' granted to " + what), tx.RedefineTopic(t)
}

// ungrant takes the grants of a user who is dropped.
func ungrant(tx *store.Tx, user string) error {
	for _, old := range tx.Catalog().Topics() {
		t := old.Clone()
		t.Grants = slices.DeleteFunc(t.Grants, func(g catalog.Grant) bool { return !g.Role && g.To == user })
		if len(t.Grants) == len(old.Grants) {
			continue
		}
		if err := tx.RedefineTopic(t); err != nil {
			return err
		}
	}
	return nil
}

// detach removes dropped tables from the topics that they are sources of, and
// says so.
func detach(tx *store.Tx, gone func(*catalog.Table) bool) (note string, err error) {
	snapshot := tx.Catalog()
	for _, old := range snapshot.Topics() {
		t := old.Clone()
		t.Sources = slices.DeleteFunc(t.Sources, func(s catalog.Source) bool {
			table := snapshot.TableByID(s.Table)
			return table == nil || gone(table)
		})
		if len(t.Sources) == len(old.Sources) {
			continue
		}
		if err := tx.RedefineTopic(t); err != nil {
			return "", err
		}
		note += ". It was a source of topic '" + t.FullName() + "', which gets nothing more from it"
	}
	return note, nil
}

// dropTopics removes the topics of a namespace and what others have as sources
// in it.
func dropTopics(tx *store.Tx, namespace string) error {
	if _, err := detach(tx, func(t *catalog.Table) bool { return t.Namespace == namespace }); err != nil {
		return err
	}
	for _, t := range tx.Catalog().Topics() {
		if t.Namespace == namespace {
			if err := tx.DropTopic(t); err != nil {
				return err
			}
		}
	}
	return nil
}

// sourcesFit refuses a new definition of a table that the filter of a topic
// does not work on.
func sourcesFit(tx *store.Tx, table *catalog.Table) error {
	snapshot := tx.Catalog()
	for _, t := range snapshot.Topics() {
		for _, s := range t.Sources {
			if s.Table != table.ID || s.Where == "" {
				continue
			}
			if _, err := topic.BindFilter(table, s.Where); err != nil {
				var e *wire.Error
				if !errors.As(err, &e) {
					return err
				}
				return wire.NewError(wire.CodeSourceDependency, "the filter of topic '", t.FullName(), "' on ", table.FullName(), " would fail: ", e.Message,
					"; drop the source first: ALTER TOPIC ", t.FullName(), " DROP SOURCE ", table.FullName(), " ON ", strings.ToUpper(s.Op))
			}
		}
	}
	return nil
}

func (r *Request) resetGroup(tx *store.Tx, s *dialect.ResetGroup) (wire.Result, error) {
	t, err := r.topic(tx, s.Topic)
	if err != nil {
		return wire.Result{}, err
	}
	part := -1
	if s.Partition != nil {
		part = *s.Partition
	}
	if err := r.Topics.Reset(tx, t, s.Group, part, StartOf(s.To)); err != nil {
		return wire.Result{}, err
	}
	return r.done("Consumer group '" + s.Group + "' of topic '" + t.FullName() + "' reset"), nil
}

// StartOf is where a consumer begins that names a position.
func StartOf(p dialect.Position) wire.TopicStart {
	switch p.Word {
	case "EARLIEST":
		return wire.TopicStart{Earliest: true}
	case "LATEST":
		return wire.TopicStart{}
	}
	return wire.TopicStart{HasOffset: true, Offset: int64(p.Offset)}
}
