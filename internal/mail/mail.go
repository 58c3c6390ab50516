// Package mail sends the mails of accounts: a code, and a link where the server
// knows its public address.
//
// One flow: a transaction queues a mail together with what it is about; after
// the commit the one sender takes it from the queue, marks it as being sent,
// hands it to the SMTP server and wipes its content. A server that is away
// delays mails and nothing else.
//
// The package decides neither who gets a mail nor how often; it never shows a
// code, a link or a whole address.
package mail

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/kalamdb/kalam-go/internal/store"
	"github.com/kalamdb/kalam-go/wire"
)

// Options configure a Service. Without SMTP and Print mails stay in the queue
// until they are too old.
type Options struct {
	SMTP      string            // smtps://user:password@host:465, or smtp:// with STARTTLS; "" for none
	From      string            // address of the sender; default kalamdb@localhost
	AppName   string            // what mails call the application; default KalamDB
	Templates string            // folder with templates that replace the built-in ones, "" for none
	Print     func(text string) // receives each mail in place of an SMTP server, for demonstrations
	Retry     time.Duration     // before the second try, doubled for each further one up to a minute; default 10 seconds
	Now       func() time.Time  // default time.Now
	Logger    *slog.Logger      // default: discards
}

// Purpose is what a mail is about; its templates have the same name.
type Purpose string

// The purposes of mails.
const (
	Verify  Purpose = "verify"  // proves a new address
	Login   Purpose = "login"   // signs in without a password
	Reset   Purpose = "reset"   // sets a new password
	Known   Purpose = "known"   // tells the owner of an account that somebody signed up with its address
	Changed Purpose = "changed" // tells the old address of an account that it has moved
	Invite  Purpose = "invite"  // invites somebody to sign up
	test    Purpose = "test"
)

// Message is a mail to be queued.
type Message struct {
	Purpose Purpose
	To      string // address
	Key     []byte // stands for the address in counts, once that is wiped
	User    string // id of the account that it is about, "" for none
	Code    string // six digits, "" for none
	Link    string // "" for none

	// Withheld counts the mail and never sends it: nobody has asked to get mails
	// at the address.
	Withheld bool
}

// Service is the queue and its sender. It is safe for concurrent use.
type Service struct {
	db        *store.DB
	options   Options
	server    *server // nil: none
	templates templates
	news      *store.Listener // of mails that were queued
	stop      context.CancelFunc
	done      sync.WaitGroup
}

// The sender's times. A mail that could not be sent for so long has failed, and
// one that is done is shown for so long.
const (
	giveUpAfter = 24 * time.Hour
	quickFor    = time.Hour        // tries follow each other within a minute
	slowly      = 10 * time.Minute // between tries after that
	keptFor     = 7 * 24 * time.Hour
	sendTimeout = 30 * time.Second
)

// New opens the queue and starts its sender; Close ends it.
func New(ctx context.Context, db *store.DB, o Options) (*Service, error) {
	if o.From == "" {
		o.From = "kalamdb@localhost"
	}
	if o.AppName == "" {
		o.AppName = "KalamDB"
	}
	if o.Retry == 0 {
		o.Retry = 10 * time.Second
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	s := &Service{db: db, options: o}
	var err error
	if s.templates, err = loadTemplates(o.Templates); err != nil {
		return nil, err
	}
	if o.SMTP != "" {
		if s.server, err = parseServer(o.SMTP); err != nil {
			return nil, err
		}
	}
	s.options.SMTP = "" // has the password
	if err := s.recover(ctx); err != nil {
		return nil, fmt.Errorf("open the mail queue: %w", err)
	}
	s.news = db.Listen(store.AboutMail)
	ctx, s.stop = context.WithCancel(context.Background())
	s.done.Go(func() { s.send(ctx) })
	return s, nil
}

// Sends reports whether mails reach anybody.
func (s *Service) Sends() bool { return s.server != nil || s.options.Print != nil }

// Close ends the sender; what is queued stays queued.
func (s *Service) Close() error {
	s.stop()
	s.done.Wait()
	return nil
}

// Times are microseconds since 1970.
var (
	text    = wire.Type{Kind: wire.Text}
	integer = wire.Type{Kind: wire.BigInt}
	blob    = wire.Type{Kind: wire.Bytes}

	insertMail = &store.Stmt{
		SQL: `INSERT INTO mail (purpose, recipient, masked, address_key, user_id, code, link, state, tries, created_at, next_at)
			VALUES ($1, $2, $3, $4, $5, $6, $7, $9, 0, $8, $8)`,
		Args: []wire.Type{text, text, text, blob, text, text, text, integer, text},
	}
	// Each new mail takes two old ones along.
	deleteOldMail = &store.Stmt{
		SQL:  "DELETE FROM mail WHERE id IN (SELECT id FROM mail WHERE state NOT IN ('queued', 'sending') AND created_at < $1 ORDER BY id LIMIT 2)",
		Args: []wire.Type{integer},
	}
	selectMailTimes = &store.Stmt{
		SQL:  "SELECT created_at FROM mail WHERE address_key = $1 AND created_at > $2 ORDER BY created_at",
		Args: []wire.Type{blob, integer}, Cols: []wire.Type{integer},
	}
	selectDueMail = &store.Stmt{
		SQL: `SELECT id, purpose, recipient, code, link, tries, created_at FROM mail
			WHERE state = 'queued' AND next_at <= $1 ORDER BY next_at, id LIMIT 20`,
		Args: []wire.Type{integer}, Cols: []wire.Type{integer, text, text, text, text, integer, integer},
	}
	selectNextMail = &store.Stmt{SQL: "SELECT min(next_at) FROM mail WHERE state = 'queued'", Cols: []wire.Type{integer}}
	beginMail      = &store.Stmt{
		SQL:  "UPDATE mail SET state = 'sending', tries = tries + 1 WHERE id = $1 AND state = 'queued'",
		Args: []wire.Type{integer},
	}
	// What is done keeps nothing secret.
	endMail = &store.Stmt{
		SQL:  "UPDATE mail SET state = $2, last_error = $3, recipient = '', code = '', link = '' WHERE id = $1",
		Args: []wire.Type{integer, text, text},
	}
	retryMail = &store.Stmt{
		SQL:  "UPDATE mail SET state = 'queued', last_error = $2, next_at = $3 WHERE id = $1",
		Args: []wire.Type{integer, text, integer},
	}
	recoverMail = &store.Stmt{
		SQL:  "UPDATE mail SET state = 'unknown', last_error = $1, recipient = '', code = '', link = '' WHERE state = 'sending'",
		Args: []wire.Type{text},
	}
	deleteUserMail = &store.Stmt{SQL: "DELETE FROM mail WHERE user_id = $1 OR address_key = $2", Args: []wire.Type{text, blob}}
)

// Queue adds a mail with the commit of tx.
func (s *Service) Queue(tx *store.Tx, m Message) error {
	now := s.options.Now()
	if _, err := tx.Exec(deleteOldMail, wire.IntValue(now.Add(-keptFor).UnixMicro())); err != nil {
		return err
	}
	state, masked := "queued", Mask(m.To)
	if m.Withheld {
		state, m.To, m.Code, m.Link = "withheld", "", "", ""
	}
	_, err := tx.Exec(insertMail, wire.TextValue(string(m.Purpose)), wire.TextValue(m.To), wire.TextValue(masked), wire.BytesValue(m.Key),
		wire.TextValue(m.User), wire.TextValue(m.Code), wire.TextValue(m.Link), wire.IntValue(now.UnixMicro()), wire.TextValue(state))
	tx.Tell(store.Notice{Mail: true})
	return err
}

// Allows reports whether an address may get another mail now: perHour of them
// an hour, and no more than burst at once.
func (s *Service) Allows(tx *store.Tx, key []byte, perHour, burst int) (bool, error) {
	now := s.options.Now()
	pause := time.Hour / time.Duration(max(perHour, 1))
	// A bucket that begins full so long ago is as full as one that was there before.
	begin := now.Add(-2 * pause * time.Duration(burst+perHour))
	tokens, last := float64(burst), begin
	fill := func(at time.Time) {
		tokens = min(float64(burst), tokens+float64(at.Sub(last))/float64(pause))
		last = at
	}
	err := tx.Query(selectMailTimes, []wire.Value{wire.BytesValue(key), wire.IntValue(begin.UnixMicro())}, func(row []wire.Value) error {
		fill(time.UnixMicro(row[0].Int()))
		tokens--
		return nil
	})
	fill(now)
	return tokens >= 1, err
}

// Forget removes the mails of an account and of its address with the commit of
// tx.
func (s *Service) Forget(tx *store.Tx, user string, key []byte) error {
	_, err := tx.Exec(deleteUserMail, wire.TextValue(user), wire.BytesValue(key))
	return err
}

// recover settles what a server that was killed has left: a mail that was being
// sent may have been sent, and is not sent twice.
func (s *Service) recover(ctx context.Context) error {
	return s.db.Write(ctx, func(tx *store.Tx) error {
		_, err := tx.Exec(recoverMail, wire.TextValue("the server stopped while it handed the mail over; it may have been sent"))
		return err
	})
}

// send is the sender.
func (s *Service) send(ctx context.Context) {
	defer s.news.Close()
	for {
		s.news.Read(func(store.Notice) {}) // the table says which
		wait, err := s.sendDue(ctx)
		if err != nil {
			if errors.Is(err, store.ErrClosed) || ctx.Err() != nil {
				return
			}
			s.options.Logger.Error("send mails", "error", err)
			wait = s.options.Retry
		}
		timer := time.NewTimer(wait)
		select {
		case <-ctx.Done():
			timer.Stop()
			return
		case <-s.news.Wake:
		case <-timer.C:
		}
		timer.Stop()
	}
}

// queued is a mail to be sent.
type queued struct {
	Message
	id      int64
	tries   int
	created time.Time
}

// sendDue sends what is due and returns how long it is until the next mail is.
func (s *Service) sendDue(ctx context.Context) (time.Duration, error) {
	if !s.Sends() {
		return time.Hour, nil
	}
	for {
		due, err := s.due(ctx)
		if err != nil || len(due) == 0 {
			if err != nil {
				return 0, err
			}
			return s.next(ctx)
		}
		if err := s.sendAll(ctx, due); err != nil {
			return 0, err
		}
	}
}

func (s *Service) due(ctx context.Context) (list []queued, err error) {
	now := wire.IntValue(s.options.Now().UnixMicro())
	err = s.db.Read(ctx, func(tx *store.Tx) error {
		return tx.Query(selectDueMail, []wire.Value{now}, func(row []wire.Value) error {
			list = append(list, queued{
				Message: Message{Purpose: Purpose(row[1].Text()), To: row[2].Text(), Code: row[3].Text(), Link: row[4].Text()},
				id:      row[0].Int(), tries: int(row[5].Int()), created: time.UnixMicro(row[6].Int()),
			})
			return nil
		})
	})
	return list, err
}

// next is how long it is until a mail is due, an hour at most.
func (s *Service) next(ctx context.Context) (time.Duration, error) {
	wait := time.Hour
	err := s.db.Read(ctx, func(tx *store.Tx) error {
		return tx.Query(selectNextMail, nil, func(row []wire.Value) error {
			if !row[0].IsNull() {
				wait = min(wait, time.UnixMicro(row[0].Int()).Sub(s.options.Now()))
			}
			return nil
		})
	})
	return max(wait, time.Millisecond), err
}

// sendAll sends mails one after the other, over one connection where there is a
// server. The first that fails for a reason of the server's ends it for now.
func (s *Service) sendAll(ctx context.Context, list []queued) error {
	var link *connection
	defer func() { link.close() }()
	for i := range list {
		m := &list[i]
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if link == nil && s.server != nil {
			var err error
			if link, err = s.server.dial(ctx); err != nil {
				return s.postpone(ctx, list[i:], err)
			}
		}
		taken, err := store.Write(ctx, s.db, func(tx *store.Tx) (bool, error) {
			n, err := tx.Exec(beginMail, wire.IntValue(m.id))
			return n == 1, err
		})
		if err != nil {
			return err
		}
		if !taken {
			continue // forgotten meanwhile
		}
		if err := s.settle(ctx, m, s.deliver(ctx, link, m)); err != nil {
			return err
		}
	}
	return nil
}

// deliver hands a mail over.
func (s *Service) deliver(ctx context.Context, link *connection, m *queued) error {
	out, err := s.templates.render(&m.Message, s.options.AppName)
	if err != nil {
		return &refusedError{err}
	}
	if link == nil {
		s.options.Print(out.print(m.To))
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, sendTimeout)
	defer cancel()
	_, err = link.send(ctx, s.options.From, s.options.AppName, m.To, out)
	return err
}

// settle records what came of a try.
func (s *Service) settle(ctx context.Context, m *queued, sent error) error {
	state, why := "sent", ""
	var refused *refusedError
	var unknown *unknownError
	switch {
	case sent == nil:
	case errors.As(sent, &refused):
		state, why = "failed", sent.Error()
	case errors.As(sent, &unknown):
		state, why = "unknown", sent.Error()
	default:
		m.tries++
		return s.postpone(ctx, []queued{*m}, sent)
	}
	if why != "" {
		s.options.Logger.Warn("a mail was not sent", "purpose", m.Purpose, "to", Mask(m.To), "state", state, "error", why)
	}
	return s.db.Write(context.WithoutCancel(ctx), func(tx *store.Tx) error {
		_, err := tx.Exec(endMail, wire.IntValue(m.id), wire.TextValue(state), wire.TextValue(why))
		return err
	})
}

// postpone plans the next try of mails, and gives up those that are too old.
func (s *Service) postpone(ctx context.Context, list []queued, why error) error {
	now := s.options.Now()
	s.options.Logger.Warn("mails wait for the SMTP server", "count", len(list), "error", why)
	return s.db.Write(context.WithoutCancel(ctx), func(tx *store.Tx) error {
		for i := range list {
			m := &list[i]
			age := now.Sub(m.created)
			if age > giveUpAfter {
				if _, err := tx.Exec(endMail, wire.IntValue(m.id), wire.TextValue("failed"), wire.TextValue(why.Error())); err != nil {
					return err
				}
				continue
			}
			wait := slowly
			if age < quickFor {
				wait = min(s.options.Retry<<min(max(m.tries-1, 0), 6), time.Minute)
			}
			if _, err := tx.Exec(retryMail, wire.IntValue(m.id), wire.TextValue(why.Error()), wire.IntValue(now.Add(wait).UnixMicro())); err != nil {
				return err
			}
		}
		return nil
	})
}

// Test sends a mail to an address at once and returns the answer of the SMTP
// server.
func Test(ctx context.Context, o Options, to string) (answer string, err error) {
	if o.SMTP == "" {
		return "", errors.New("no SMTP server is configured: set [mail] smtp, or KALAMDB_MAIL_SMTP")
	}
	server, err := parseServer(o.SMTP)
	if err != nil {
		return "", err
	}
	t, err := loadTemplates(o.Templates)
	if err != nil {
		return "", err
	}
	out, err := t.render(&Message{Purpose: test, To: to}, cmp.Or(o.AppName, "KalamDB"))
	if err != nil {
		return "", err
	}
	ctx, cancel := context.WithTimeout(ctx, sendTimeout)
	defer cancel()
	link, err := server.dial(ctx)
	if err != nil {
		return "", err
	}
	defer link.close()
	return link.send(ctx, cmp.Or(o.From, "kalamdb@localhost"), cmp.Or(o.AppName, "KalamDB"), to, out)
}
