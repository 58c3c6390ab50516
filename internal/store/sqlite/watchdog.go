package sqlite

import "time"

// watchdog interrupts statements whose bound is reached. One goroutine looks
// after all connections, and only while one of them is bound: that costs a
// statement less than a timer and a context of its own.
type watchdog struct {
	awake chan struct{} // holds one token when a connection was bound
	stop  chan struct{}
	done  chan struct{}
}

// watchEvery is how often the bounds are checked.
const watchEvery = 50 * time.Millisecond

func newWatchdog() *watchdog {
	return &watchdog{awake: make(chan struct{}, 1), stop: make(chan struct{}), done: make(chan struct{})}
}

// wake sees to it that the bounds are checked.
func (w *watchdog) wake() {
	select {
	case w.awake <- struct{}{}:
	default:
	}
}

// run checks the bounds of the connections until close.
func (w *watchdog) run(conns []*conn) {
	defer close(w.done)
	tick := time.NewTicker(watchEvery)
	defer tick.Stop()
	for {
		tick.Stop()
		select {
		case <-w.awake:
		case <-w.stop:
			return
		}
		tick.Reset(watchEvery)
		for bound := true; bound; {
			select {
			case <-tick.C:
			case <-w.stop:
				return
			}
			now := time.Now()
			bound = false
			for _, c := range conns {
				bound = c.check(now) || bound
			}
		}
	}
}

func (w *watchdog) close() {
	close(w.stop)
	<-w.done
}
