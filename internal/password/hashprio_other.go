//go:build !linux

package password

import "syscall"

// giveWay makes this process let others go first.
func giveWay() { syscall.Setpriority(syscall.PRIO_PROCESS, 0, lowestPriority) }
