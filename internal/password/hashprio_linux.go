package password

import (
	"os"
	"strconv"
	"time"

	"golang.org/x/sys/unix"
)

// hashSlice is how long a thread that makes hashes would go on when nobody else
// has anything to do: the longest that the kernel takes.
const hashSlice = 100 * time.Millisecond

// giveWay makes this process's threads, and those to come, let others go first.
// A low priority alone lets them finish a slice of some 3 ms before a query gets
// the processor. Since Linux 6.12 whoever asked for a shorter slice interrupts
// one who asked for a longer; older kernels do not look at it. As a batch they
// interrupt nobody in turn.
func giveWay() {
	tasks, _ := os.ReadDir("/proc/self/task") // priorities are a thread's on Linux
	for _, t := range tasks {
		id, err := strconv.Atoi(t.Name())
		if err != nil {
			continue
		}
		attr := unix.SchedAttr{Size: unix.SizeofSchedAttr, Policy: unix.SCHED_BATCH, Nice: lowestPriority, Runtime: uint64(hashSlice)}
		if unix.SchedSetAttr(id, &attr, 0) != nil {
			unix.Setpriority(unix.PRIO_PROCESS, id, lowestPriority)
		}
	}
}
