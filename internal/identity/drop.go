package identity

import (
	"context"
	"time"

	"github.com/kalamdb/kalam-go/internal/store"
	"github.com/kalamdb/kalam-go/wire"
)

var (
	beginErasing = &store.Stmt{
		SQL:  "UPDATE users SET erased_at = 0, email = NULL, name = NULL, updated_at = $2 WHERE user_id = $1",
		Args: []wire.Type{text, integer},
	}
	endErasing = &store.Stmt{
		SQL:  "UPDATE users SET erased_at = $2 WHERE user_id = $1 AND erased_at = 0",
		Args: []wire.Type{text, integer},
	}
	isErasing      = &store.Stmt{SQL: "SELECT user_id FROM users WHERE user_id = $1 AND erased_at = 0", Args: []wire.Type{text}, Cols: []wire.Type{text}}
	selectErasing  = &store.Stmt{SQL: "SELECT user_id FROM users WHERE erased_at = 0", Cols: []wire.Type{text}}
	deleteSessions = &store.Stmt{
		SQL:  "DELETE FROM sessions WHERE session_id IN (SELECT session_id FROM sessions WHERE user_id = $1 LIMIT $2)",
		Args: []wire.Type{text, integer},
	}
)

// DropUser marks a user as dropped in the caller's transaction and ends their
// sessions with the commit, or fails with USER_NOT_FOUND. The data stays, unless
// cascade says that EraseUser follows; that may also be said of a user who was
// dropped before. addr is the client's, for the audit log.
func (s *Service) DropUser(tx *store.Tx, trail *Trail, actor *Principal, name, addr string, cascade bool) error {
	id, err := checkName(name)
	if err != nil {
		return errUserNotFound(name)
	}
	u, err := managed(tx, actor, id, "drop")
	if e, ok := err.(*wire.Error); ok && e.Code == wire.CodeUserNotFound && cascade {
		u, err = leftBehind(tx, actor, id)
	}
	if err != nil {
		return err
	}
	if err := s.mayLose(tx, actor, u, "DROP", ""); err != nil {
		return err
	}
	e := event{action: auditUserDropped, subject: u.id}
	if cascade {
		e.details = "with their data"
	}
	trail.add(s.by(actor, addr, e))
	return s.drop(tx, u, cascade)
}

// Leave drops the account of p with all of its data, as DropUser with cascade
// does: EraseUser follows. It is refused to the last administrator.
func (s *Service) Leave(tx *store.Tx, trail *Trail, p *Principal, addr string) error {
	u, err := findUser(tx, p.UserID)
	if err != nil {
		return err
	}
	if !u.active() {
		return errUserNotFound(p.UserID)
	}
	if err := s.mayLose(tx, &Principal{}, u, "DROP", ""); err != nil {
		return err
	}
	trail.add(s.by(p, addr, event{action: auditUserDropped, details: "by themselves, with their data"}))
	return s.drop(tx, u, true)
}

// Abandoned drops one of IdleAnonymous with its data: EraseUser follows. An
// account that was used or upgraded meanwhile stays.
func (s *Service) Abandoned(tx *store.Tx, trail *Trail, id string, since time.Time) error {
	still := false
	err := tx.Query(isAbandoned, []wire.Value{wire.IntValue(since.UnixMicro()), wire.TextValue(id)}, func([]wire.Value) error {
		still = true
		return nil
	})
	if err != nil || !still {
		return err
	}
	u, err := findUser(tx, id)
	if err != nil {
		return err
	}
	trail.add(event{action: auditUserDropped, subject: id, method: "expiry", details: "idle anonymous account, with its data"})
	return s.drop(tx, u, true)
}

// drop marks a user as dropped, with cascade as one whose data goes, and ends
// their sessions. The names that the account signed in with are free again.
func (s *Service) drop(tx *store.Tx, u *userRow, cascade bool) error {
	id, now := wire.TextValue(u.id), wire.IntValue(s.now())
	if u.deletedAt == 0 {
		if _, err := tx.Exec(dropUser, id, now); err != nil {
			return err
		}
	}
	if cascade {
		if _, err := tx.Exec(beginErasing, id, now); err != nil {
			return err
		}
	}
	for _, forget := range []*store.Stmt{dropCredentials, deleteUserKeys} {
		if _, err := tx.Exec(forget, id); err != nil {
			return err
		}
	}
	_, err := s.endSessions(tx, u.id, "")
	return err
}

// leftBehind returns a user who was dropped and whose data is there.
func leftBehind(tx *store.Tx, actor *Principal, id string) (*userRow, error) {
	u, err := findUser(tx, id)
	if err != nil {
		return nil, err
	}
	if u == nil || u.deletedAt == 0 || u.erasedAt != 0 {
		return nil, errUserNotFound(id)
	}
	return u, authorise(actor, u.role, "drop")
}

// EraseUser removes the data of a user who was dropped with cascade, and returns
// when nothing of it is left but the id. What it does not reach is removed later.
// The data of every other user stays.
func (s *Service) EraseUser(ctx context.Context, name string) error {
	id, err := checkName(name)
	if err != nil {
		return err
	}
	s.erasing.Lock()
	defer s.erasing.Unlock()
	erase := false
	err = s.db.Query(ctx, isErasing, []wire.Value{wire.TextValue(id)}, func([]wire.Value) error {
		erase = true
		return nil
	})
	if err != nil || !erase {
		return err
	}
	if err := s.db.EraseUser(ctx, id); err != nil {
		return err
	}
	for more := true; more; {
		more, err = store.Write(ctx, s.db, func(tx *store.Tx) (bool, error) {
			n, err := tx.Exec(deleteSessions, wire.TextValue(id), wire.IntValue(500))
			if err != nil || n > 0 {
				return n > 0, err
			}
			_, err = tx.Exec(endErasing, wire.TextValue(id), wire.IntValue(s.now()))
			return false, err
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// eraseRest removes the data that an interrupted EraseUser has left.
func (s *Service) eraseRest(ctx context.Context) {
	tick := time.NewTicker(time.Minute)
	defer tick.Stop()
	for {
		var ids []string
		err := s.db.Read(ctx, func(tx *store.Tx) error {
			return tx.Query(selectErasing, nil, func(row []wire.Value) error {
				ids = append(ids, row[0].Text())
				return nil
			})
		})
		for _, id := range ids {
			if err == nil {
				err = s.EraseUser(ctx, id)
			}
		}
		if err != nil && ctx.Err() == nil {
			s.options.Logger.Error("the data of a dropped user cannot be erased yet; it is tried again", "error", err)
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}
