package dialect

type (
	// CreateTopic is CREATE TOPIC [IF NOT EXISTS] ns.t [PARTITIONS n] [WITH (..)].
	CreateTopic struct {
		at
		IfNotExists bool
		Name        Name
		Partitions  *int
		Options     []Option
	}
	// AlterTopic is ALTER TOPIC ns.t with one operation.
	AlterTopic struct {
		at
		Name   Name
		Action AlterAction
	}
	// DropTopic is DROP TOPIC [IF EXISTS] ns.t.
	DropTopic struct {
		at
		IfExists bool
		Name     Name
	}
	// ClearTopic is CLEAR TOPIC ns.t.
	ClearTopic struct {
		at
		Name Name
	}
	// Consume is CONSUME FROM ns.t [GROUP 'g'] [PARTITION p]
	// [FROM EARLIEST|LATEST|offset] [LIMIT n].
	Consume struct {
		at
		Topic     Name
		Group     *string
		Partition *int
		Start     *Position
		Limit     *int
	}
	// Ack is ACK ns.t GROUP 'g' [PARTITION p] UPTO OFFSET o.
	Ack struct {
		at
		Topic     Name
		Group     string
		Partition *int
		UpTo      int
	}
	// ResetGroup is RESET CONSUMER GROUP 'g' ON ns.t [PARTITION p]
	// TO EARLIEST|LATEST|offset.
	ResetGroup struct {
		at
		Group     string
		Topic     Name
		Partition *int
		To        Position
	}
	// Grant is GRANT CONSUME ON TOPIC ns.t TO grantee, or with Revoke REVOKE
	// CONSUME ON TOPIC ns.t FROM grantee. The grantee is [USER] u or ROLE r; a
	// bare word that names a role is one.
	Grant struct {
		at
		Revoke bool
		Topic  Name
		Role   bool // To is a role
		To     Text
	}
)

// Position is a place in a partition: EARLIEST, LATEST or an offset.
type Position struct {
	Word   string // "EARLIEST", "LATEST" or ""
	Offset int
}

type (
	// AddSource is ADD SOURCE [IF NOT EXISTS] ns.tbl ON op [WHERE x] [WITH (..)].
	AddSource struct {
		at
		IfNotExists bool
		Table       Name
		Op          string // "INSERT", "UPDATE", "DELETE"
		Where       Expr
		Options     []Option
	}
	// DropSource is DROP SOURCE ns.tbl ON op.
	DropSource struct {
		at
		Table Name
		Op    string
	}
	// SetRetention is SET RETENTION WITH (..), or CLEAR RETENTION without
	// options.
	SetRetention struct {
		at
		Options []Option
	}
)

func (*CreateTopic) statement() {}
func (*AlterTopic) statement()  {}
func (*DropTopic) statement()   {}
func (*ClearTopic) statement()  {}
func (*Consume) statement()     {}
func (*Ack) statement()         {}
func (*ResetGroup) statement()  {}
func (*Grant) statement()       {}

func (*AddSource) alterAction()    {}
func (*DropSource) alterAction()   {}
func (*SetRetention) alterAction() {}
