package budget

import (
	"runtime"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

const (
	// lowered is by how much the nice value of a thread that has a place is higher.
	lowered = 10
	// longSlice is how long such a thread would go on when nobody else has anything
	// to do. Since Linux 6.12 a thread with a shorter slice interrupts one with a
	// longer; a low priority alone lets it finish some 3 ms first.
	longSlice = 100 * time.Millisecond
)

// scheduling is how the threads of the process are scheduled: with a place, and
// without.
var scheduling = sync.OnceValue(func() (s struct {
	placed, usual unix.SchedAttr
	lowers        bool
}) {
	s.usual = unix.SchedAttr{Size: unix.SizeofSchedAttr, Policy: unix.SCHED_NORMAL}
	if have, err := unix.SchedGetAttr(0, 0); err == nil {
		s.usual.Nice = have.Nice
	}
	s.placed = s.usual
	s.placed.Policy, s.placed.Runtime = unix.SCHED_BATCH, uint64(longSlice)
	low := s.placed
	low.Nice = min(s.usual.Nice+lowered, 19)
	tried := make(chan bool)
	go func() {
		// Who may not raise a priority again has spoilt a thread: it ends with this
		// goroutine, which does not unlock it.
		runtime.LockOSThread()
		if unix.SchedSetAttr(0, &low, 0) != nil || unix.SchedSetAttr(0, &s.usual, 0) != nil {
			tried <- false
			return
		}
		runtime.UnlockOSThread()
		tried <- true
	}()
	if s.lowers = <-tried; s.lowers {
		s.placed = low
	}
	return s
})

// runsBehind reports whether threads may lower their priority and raise it again.
// That takes CAP_SYS_NICE, or an RLIMIT_NICE that allows it.
func runsBehind() bool { return scheduling().lowers }

// stepBack makes the goroutine run behind others, until stepForward.
func stepBack() {
	runtime.LockOSThread()
	attr := scheduling().placed
	unix.SchedSetAttr(0, &attr, 0)
}

func stepForward() {
	attr := scheduling().usual
	unix.SchedSetAttr(0, &attr, 0)
	runtime.UnlockOSThread()
}
