package icmp

import (
	"context"
	"net"
	"net/netip"
	"os"
	"runtime"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	"replypath/health"
	"replypath/health/socket"

	probing "github.com/prometheus-community/pro-bing"
)

// ping is one echo request, and a pinger of its own for it.
type ping struct {
	path   health.Path
	pinger *probing.Pinger
	guard  *guard
	answer *expected
}

func newPing(p health.Path, to netip.Addr, e *expected) *ping {
	target := &net.IPAddr{IP: to.AsSlice()}
	if to.IsLinkLocalUnicast() {
		// By number: a name would be looked up in a memory of Go's that outlives the link.
		target.Zone = strconv.Itoa(p.Index)
	}
	run := &ping{path: p, pinger: probing.New(to.String()), guard: &guard{}, answer: e}
	run.pinger.SetIPAddr(target)
	run.pinger.SetPrivileged(true)
	run.pinger.SetLogger(run.guard)
	run.pinger.SetMark(uint(p.Mark))
	run.pinger.SetID(int(e.id))
	run.pinger.Size = e.size
	run.pinger.Count = 1
	run.pinger.Interval = time.Hour // it never comes to a second one
	run.pinger.RecordRtts, run.pinger.RecordTTLs = false, false
	if p.Source.IsValid() {
		run.pinger.Source = p.Source.String()
	}
	return run
}

// run sends the request, and waits until the library has taken an answer for its own, or ctx is done. The library's
// measure of the round trip is by the wall clock: it is not looked at.
func (r *ping) run(ctx context.Context) (sent time.Time, err error) {
	waits, giveUp := context.WithCancel(ctx)
	defer giveUp()
	r.guard.giveUp = giveUp
	sent = time.Now()
	r.pinger.OnSetup = func() { sent = time.Now() }
	r.pinger.OnSendError = func(*probing.Packet, error) { giveUp() }
	r.pinger.OnRecvError = func(error) {
		// The library looks for answers many times a second: it need not before the witness has heard one.
		select {
		case <-r.answer.heard:
		case <-waits.Done():
		}
	}
	err = r.pinger.RunWithContext(ctx)
	if refused := r.guard.refused(); refused != nil {
		err = refused
	}
	if err != nil {
		err = socket.Explain(r.path, err)
	}
	return sent, err
}

// guard listens to what the library logs. When the kernel refuses to send with EACCES, the library takes the target for
// a broadcast address, says so and tries again, for ever and without a look at its context.
type guard struct {
	probing.NoopLogger
	tries  atomic.Int32
	giveUp func() // ends the wait for an answer
}

// refusals is how often the kernel may say EACCES: the first time the socket lacks SO_BROADCAST.
const refusals = 2

// Infof leaves the goroutine that is caught; the library's deferred calls end the rest.
func (g *guard) Infof(format string, _ ...any) {
	if strings.Contains(format, "broadcast") && g.tries.Add(1) >= refusals {
		g.giveUp()
		runtime.Goexit()
	}
}

// refused is why the goroutine was left, if it was.
func (g *guard) refused() error {
	if g.tries.Load() < refusals {
		return nil
	}
	return os.NewSyscallError("sendmsg", syscall.EACCES)
}
