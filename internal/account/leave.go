package account

import (
	"context"
	"errors"
	"time"

	"github.com/kalamdb/kalam-go/internal/identity"
	"github.com/kalamdb/kalam-go/internal/store"
	"github.com/kalamdb/kalam-go/wire"
)

// freshFor is how old a session may be that deletes its account without the
// password.
const freshFor = 5 * time.Minute

// expireEvery is how often idle anonymous accounts are looked for.
const expireEvery = 10 * time.Minute

var deleteUserCodes = &store.Stmt{SQL: "DELETE FROM codes WHERE user_id = $1 OR address_key = $2", Args: []wire.Type{text, blob}}

// Delete removes the account of who, with its rows in USER and STREAM tables, its
// files, sessions, codes and mails. It needs the password, or a session that has
// just begun. When it returns nobody sees anything of the account, and its data
// is gone; rows in SHARED tables and messages of topics stay.
func (s *Service) Delete(ctx context.Context, who *identity.Principal, password, addr string) error {
	if password != "" {
		if err := s.users.ConfirmPassword(ctx, who, password, addr); err != nil {
			return err
		}
	}
	err := s.users.Write(ctx, func(tx *store.Tx, trail *identity.Trail) error {
		if password == "" {
			began, err := s.users.Began(tx, who)
			if err != nil {
				return err
			}
			if s.options.Now().Sub(began) > freshFor {
				return wire.NewError(wire.CodePermissionDenied, "deleting an account needs its password, or a sign-in within the last 5 minutes")
			}
		}
		return s.remove(tx, who.UserID, func() error { return s.users.Leave(tx, trail, who, addr) })
	})
	if err != nil {
		return err
	}
	return s.users.EraseUser(ctx, who.UserID)
}

// remove forgets what this package and the mails hold of an account, and drops
// it.
func (s *Service) remove(tx *store.Tx, id string, drop func() error) error {
	u, err := s.users.UserIn(tx, id)
	if err != nil {
		return err
	}
	key := s.users.AddressKey("")
	if u != nil && u.Email != "" {
		key = s.users.AddressKey(u.Email)
	}
	if _, err := tx.Exec(deleteUserCodes, wire.TextValue(id), wire.BytesValue(key)); err != nil {
		return err
	}
	if err := s.mail.Forget(tx, id, key); err != nil {
		return err
	}
	return drop()
}

// expire removes idle anonymous accounts from time to time, until ctx ends.
func (s *Service) expire(ctx context.Context) {
	tick := time.NewTicker(expireEvery)
	defer tick.Stop()
	for {
		if err := s.Expire(ctx); err != nil && ctx.Err() == nil && !errors.Is(err, store.ErrClosed) {
			s.options.Logger.Error("remove idle anonymous accounts", "error", err)
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}

// Expire removes the anonymous accounts that nobody has used for their time. It
// happens by itself every ten minutes.
func (s *Service) Expire(ctx context.Context) error {
	for {
		since := s.options.Now().AddDate(0, 0, -s.options.AnonymousDays)
		ids, err := s.users.IdleAnonymous(ctx, since)
		if err != nil || len(ids) == 0 {
			return err
		}
		for _, id := range ids {
			err := s.users.Write(ctx, func(tx *store.Tx, trail *identity.Trail) error {
				return s.remove(tx, id, func() error { return s.users.Abandoned(tx, trail, id, since) })
			})
			if err != nil {
				return err
			}
			if err := s.users.EraseUser(ctx, id); err != nil {
				return err
			}
		}
	}
}

// Close ends what the service does by itself.
func (s *Service) Close() error {
	s.stop()
	s.done.Wait()
	return nil
}
