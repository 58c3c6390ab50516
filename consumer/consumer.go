// Package consumer is the worker side of KalamDB's topics: it gets messages for
// a consumer group, keeps them while they are handled, and acknowledges them.
//
// Every message is handled at least once, and the messages of one key one after
// the other, by one consumer of the group at a time. A Consumer shares the
// partitions of a topic with the other members of its group by leases: what it
// got is its own until it acknowledges it, gives it back, or stops to extend the
// lease.
//
// There are two ways to use it: a loop over Messages, where each message is
// acknowledged by hand, and Run, which calls a handler and acknowledges, tries
// again and drains by itself. The package builds natively and for js/wasm.
package consumer

import (
	"context"
	"errors"
	"math/rand/v2"
	"strconv"
	"sync"
	"time"

	"github.com/kalamdb/kalam-go/auth"
	"github.com/kalamdb/kalam-go/client"
	"github.com/kalamdb/kalam-go/wire"
)

// Start is where a group begins that has never been in a partition. Later on its
// cursor counts; RESET CONSUMER GROUP moves that.
type Start struct{ at wire.TopicStart }

// Latest begins with what comes next; it is the default. Earliest begins with
// the oldest message that is kept.
var (
	Latest   = Start{}
	Earliest = Start{wire.TopicStart{Earliest: true}}
)

// Offset begins at an offset.
func Offset(n int64) Start { return Start{wire.TopicStart{HasOffset: true, Offset: n}} }

// Options configure a Consumer. Topic and Group are needed, the rest has
// defaults.
type Options struct {
	Topic string // namespace.topic
	Group string // the consumer group, which is made with its first consumer

	// Start is where a new group begins. Default: Latest.
	Start Start

	// Partition limits the consumer to one partition. Default, nil: all of them.
	Partition *int

	// BatchSize is how many messages are asked for at once; of messages that are
	// handled within a millisecond or so, up to 16 batches. Others of the group do
	// not get them meanwhile: make it small when handling takes long. Default: 100.
	BatchSize int

	// PollTimeout is how long one request waits for a message. Default: 30 s.
	PollTimeout time.Duration

	// MaxHold is how long a message is kept at most, by extending its lease,
	// before another consumer gets it. Default: 15 min.
	MaxHold time.Duration

	// Concurrency is how many handlers Run has running at once; messages of one
	// key never run at once. Default: 1.
	Concurrency int

	// ManualAck leaves it to the handlers of Run to acknowledge: a message that a
	// handler has not settled when it returns nil stays with this consumer, which
	// goes on to the next one.
	ManualAck bool

	// Retry says how Run repeats a handler that fails.
	Retry RetryPolicy

	// GiveUp is called by Run when a handler has failed for the last time. When
	// it returns nil the message is acknowledged. Without it, or when it fails,
	// the message goes back and comes again after Retry.Max.
	GiveUp func(ctx context.Context, m *Message, err error) error

	// DrainTimeout is how long Run waits, once it is told to stop, for handlers
	// that are running. Default: 30 s.
	DrainTimeout time.Duration

	// Client configures the connection that New makes.
	Client client.Options
}

// Consumer is one member of a consumer group. It is safe for concurrent use, but
// one loop over Messages, or one Run, is under way at a time.
type Consumer struct {
	c       *client.Client
	own     bool // the client is ours to close
	options Options
	id      string

	mu       sync.Mutex // guards what follows
	busy     bool       // Messages or Run is under way
	closed   bool
	held     map[place]*Message // what the server has given us and we have not settled
	settled  []settled          // what the server is still to be told
	sending  int                // of settled, what is under way
	stats    Stats
	lease    time.Duration
	more     bool          // the server had more than it gave
	flushing int           // calls of Flush
	kick     chan struct{} // tells the keeper that there is something; of 1
	stop     chan struct{} // ends the keeper; nil when it does not run
	done     chan struct{} // closed when the keeper has ended
	flushed  *sync.Cond    // settled and sending have become fewer
	failed   error         // the last failure of settling
	abort    func()        // ends the loop that is under way
}

// String names the topic and the group.
func (x *Consumer) String() string {
	return "consumer of " + x.options.Topic + " in group " + x.options.Group
}

// place is where a message is in a topic.
type place struct {
	part   int
	offset int64
}

// settled is a message that is done (delay < 0) or goes back after a delay.
type settled struct {
	place
	delay  time.Duration
	unused bool // it goes back as it came
}

const isAck = -1

// Stats are counters of a Consumer since it was made.
type Stats struct {
	Received    int64 // messages that came
	Redelivered int64 // of these, those that had been given out before
	Acked       int64 // acknowledged
	Nacked      int64 // given back
	Failed      int64 // handler calls that failed
	Lost        int64 // whose lease ran out before they were settled
	Lag         int64 // messages that the group had not acknowledged when it last asked
	Held        int   // messages that are here now
}

// ErrBusy: Messages or Run is under way already.
var ErrBusy = errors.New("the consumer is in use by another loop")

// ErrLeaseLost is why the context of a handler ended: another consumer may have
// the message.
var ErrLeaseLost = errors.New("the lease of the message ran out")

// New makes a consumer of the server at a base URL like http://localhost:8080,
// for the user that the provider says, who needs the right to consume the topic.
// It does no I/O.
func New(url string, provider auth.Provider, o Options) (*Consumer, error) {
	c, err := client.New(url, provider, o.Client)
	if err != nil {
		return nil, err
	}
	x, err := On(c, o)
	if err != nil {
		c.Close()
		return nil, err
	}
	x.own = true
	return x, nil
}

// On makes a consumer that uses a client, and does not close it.
func On(c *client.Client, o Options) (*Consumer, error) {
	switch {
	case o.Topic == "":
		return nil, errors.New("a consumer needs Options.Topic")
	case o.Group == "":
		return nil, errors.New("a consumer needs Options.Group")
	}
	def(&o.BatchSize, 100)
	def(&o.PollTimeout, 30*time.Second)
	def(&o.MaxHold, 15*time.Minute)
	def(&o.Concurrency, 1)
	def(&o.DrainTimeout, 30*time.Second)
	o.Retry.defaults()
	x := &Consumer{
		c: c, options: o, id: strconv.FormatUint(rand.Uint64(), 36) + strconv.FormatUint(rand.Uint64(), 36),
		held: make(map[place]*Message), kick: make(chan struct{}, 1), lease: time.Minute,
	}
	x.flushed = sync.NewCond(&x.mu)
	return x, nil
}

func def[T int | time.Duration](v *T, value T) {
	if *v <= 0 {
		*v = value
	}
}

// Client is the connection of the consumer, for statements of the same user.
func (x *Consumer) Client() *client.Client { return x.c }

// Stats returns the counters.
func (x *Consumer) Stats() Stats {
	x.mu.Lock()
	defer x.mu.Unlock()
	s := x.stats
	s.Held = len(x.held)
	return s
}

// begin takes the consumer for one loop, which abort ends, and starts the keeper.
func (x *Consumer) begin(abort func()) error {
	x.mu.Lock()
	defer x.mu.Unlock()
	switch {
	case x.closed:
		return client.ErrClosed
	case x.busy:
		return ErrBusy
	}
	x.busy, x.abort = true, abort
	if x.stop == nil {
		x.stop, x.done = make(chan struct{}), make(chan struct{})
		go x.keep(x.stop, x.done)
	}
	return nil
}

// Flush waits until the server knows of everything that was acknowledged and
// given back so far. It returns the last failure when ctx ends before.
func (x *Consumer) Flush(ctx context.Context) error {
	stop := context.AfterFunc(ctx, func() {
		x.mu.Lock()
		defer x.mu.Unlock()
		x.flushed.Broadcast()
	})
	defer stop()
	x.mu.Lock()
	defer x.mu.Unlock()
	x.flushing++
	defer func() { x.flushing-- }()
	for len(x.settled)+x.sending > 0 {
		if x.stop == nil {
			return errors.New("the consumer is closed")
		}
		if ctx.Err() != nil {
			return errors.Join(ctx.Err(), x.failed)
		}
		x.wake()
		x.flushed.Wait()
	}
	return nil
}

// wake tells the keeper that there is something to do.
func (x *Consumer) wake() {
	select {
	case x.kick <- struct{}{}:
	default:
	}
}

// Close tells the server what was acknowledged, gives back all that was not, so
// that others get it at once, and ends. It takes 5 s at most. A loop over
// Messages that is under way ends with client.ErrClosed.
func (x *Consumer) Close() error {
	x.mu.Lock()
	if x.closed {
		x.mu.Unlock()
		return nil
	}
	x.closed = true
	running := x.stop != nil
	if x.busy {
		x.abort()
	}
	for _, m := range x.held {
		x.settle(m, 0)
	}
	x.mu.Unlock()
	var err error
	if running {
		ctx, stop := context.WithTimeout(context.Background(), 5*time.Second)
		defer stop()
		err = x.Flush(ctx)
		x.mu.Lock()
		stopKeeper, done := x.stop, x.done
		x.stop = nil
		x.mu.Unlock()
		close(stopKeeper)
		<-done
	}
	if x.own {
		err = errors.Join(err, x.c.Close())
	}
	return err
}

func (x *Consumer) isClosed() bool {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.closed
}
