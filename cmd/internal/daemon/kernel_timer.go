package daemon

import (
	"os"
	"syscall"
	"time"
	"unsafe"

	"replypath/health"

	"golang.org/x/sys/unix"
)

// kernelTimer is a health.Timer by timerfd_create(2), for what a service at rest waits for. When one of the runtime is due, a thread that
// waits for sockets wakes up a millisecond early and once more, as it also does when a timer was set to a later time, and the
// runtime's monitor every 70 µs meanwhile. This one wakes up one thread, once, if that makes raw system calls alone: all others wake up
// the monitor.
type kernelTimer struct {
	file *os.File
	raw  syscall.RawConn
}

// newKernelTimer makes a timer for the rest of the process. Without descriptors it is one of the runtime.
func newKernelTimer(f func()) health.Timer {
	fd, err := unix.TimerfdCreate(unix.CLOCK_MONOTONIC, unix.TFD_NONBLOCK|unix.TFD_CLOEXEC)
	if err != nil {
		return health.Timers(nil).New(f)
	}
	t := &kernelTimer{file: os.NewFile(uintptr(fd), "timer")}
	if t.raw, err = t.file.SyscallConn(); err != nil {
		t.file.Close()
		return health.Timers(nil).New(f)
	}
	go t.run(f)
	return t
}

// run calls f whenever the timer fires.
func (t *kernelTimer) run(f func()) {
	_ = t.raw.Read(func(fd uintptr) bool {
		for readTimer(fd) {
			f()
		}
		return false
	})
}

// readTimer reports whether the timer has fired since the last call.
func readTimer(fd uintptr) bool {
	var times [8]byte
	_, _, errno := unix.RawSyscall(unix.SYS_READ, fd, uintptr(unsafe.Pointer(&times)), unsafe.Sizeof(times))
	return errno == 0
}

// Reset implements health.Timer.
func (t *kernelTimer) Reset(d time.Duration) bool { return t.set(max(d, 1)) }

// Stop implements health.Timer.
func (t *kernelTimer) Stop() bool { return t.set(0) }

// set makes the timer fire after a time, 0: not. It reports whether it would have fired.
func (t *kernelTimer) set(d time.Duration) bool {
	var before unix.ItimerSpec
	then := unix.ItimerSpec{Value: unix.NsecToTimespec(int64(d))}
	_ = t.raw.Control(func(fd uintptr) { // its arguments are valid
		_, _, _ = unix.RawSyscall6(unix.SYS_TIMERFD_SETTIME, fd, 0, uintptr(unsafe.Pointer(&then)), uintptr(unsafe.Pointer(&before)), 0, 0)
	})
	return before.Value != (unix.Timespec{})
}
