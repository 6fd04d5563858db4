package icmp

import (
	"context"
	"net"
	"os"
	"reflect"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"time"

	"replypath/health"
	"replypath/uplinks"

	probing "github.com/prometheus-community/pro-bing"
)

// sender puts the questions of one path, one after the other, by a pinger of the library's that lives from one question
// to the next: to open a socket and have the kernel compile its filter costs more than to send a question.
//
// The library sends whenever its interval is over, and then says so. There it is held until there is another question.
// It hears no answers, and so confirms none: the witness does.
type sender struct {
	pinger *probing.Pinger
	index  int         // of the path's link
	to     *net.IPAddr // the pinger's
	stamp  stamp       // of the question that is put
	put    *question   // nil: none yet
	number int         // of questions, until now
	tries  int         // of the library to send this one
	unused *time.Timer
	leave  context.CancelFunc

	next    chan *question
	ended   chan struct{} // closed when it takes no more questions
	refused error         // valid from then on: why it never took one
}

const (
	most      = 500 // questions of a sender: the library remembers each that it has sent
	patience  = time.Minute
	nothing   = -1 // as an identifier, which has 16 bits, it has the library's filter let nothing pass
	refusals  = 2  // how often the kernel may say EACCES: the first time the socket lacks SO_BROADCAST
	immediate = time.Microsecond
)

func newSender(p health.Path) *sender {
	s := &sender{pinger: probing.New(""), index: p.Index, to: &net.IPAddr{IP: net.IPv6unspecified}, unused: time.NewTimer(patience),
		next: make(chan *question), ended: make(chan struct{})}
	if p.Family == uplinks.IPv4 {
		s.to.IP = net.IPv4zero
	}
	s.pinger.SetIPAddr(s.to)
	s.pinger.SetPrivileged(true)
	s.pinger.SetLogger(listener{s: s})
	s.pinger.SetMark(uint(p.Mark))
	s.pinger.SetID(nothing)
	s.pinger.Interval = immediate
	if p.Source.IsValid() {
		s.pinger.Source = p.Source.String()
	}
	s.stamp.tracker = tracker(s.pinger)
	return s
}

// tracker is what the library's questions carry. It tells nobody, and so is asked where it keeps it.
func tracker(p *probing.Pinger) [trackerSize]byte {
	return [trackerSize]byte(reflect.ValueOf(p).Elem().FieldByName("trackerUUIDs").Index(0).Bytes())
}

// run puts questions until ctx ends, one could not be sent, or there have been none for a while.
func (s *sender) run(ctx context.Context) {
	ctx, s.leave = context.WithCancel(ctx)
	defer s.leave()
	s.pinger.OnSetup = func() { s.hold(ctx) }
	s.pinger.OnSend = func(*probing.Packet) {
		s.put.done(nil)
		s.hold(ctx)
	}
	s.pinger.OnSendError = func(_ *probing.Packet, err error) { s.fail(err) }
	s.pinger.OnRecvError = func(error) { <-ctx.Done() } // it would look for answers many times a second
	s.refused = s.pinger.RunWithContext(ctx)
}

// hold waits for the next question.
func (s *sender) hold(ctx context.Context) {
	if s.number == most {
		s.exit()
	}
	s.unused.Reset(patience)
	select {
	case s.put = <-s.next:
		s.prepare()
	case <-ctx.Done():
		s.exit()
	case <-s.unused.C:
		s.exit()
	}
}

// prepare has the library send the question when it goes on.
func (s *sender) prepare() {
	s.stamp.seq = uint16(s.number)
	s.number++
	s.tries = 0
	s.pinger.SetID(int(s.put.id))
	*s.to = net.IPAddr{IP: s.put.to.AsSlice()}
	if s.put.to.IsLinkLocalUnicast() {
		// By number: a name would be looked up in a memory of Go's that outlives the link.
		s.to.Zone = strconv.Itoa(s.index)
	}
	s.put.leaves(s.stamp)
}

// fail ends the sender with a question that could not be sent. The library would try again.
func (s *sender) fail(err error) {
	s.put.done(err)
	s.exit()
}

// exit leaves the goroutine: whatever the library is about to do, it does not. Its deferred calls end the rest.
func (s *sender) exit() {
	s.leave()
	runtime.Goexit()
}

// listener listens to what the library logs. When the kernel refuses to send with EACCES, the library takes the target
// for a broadcast address, says so and tries again, for ever and without a look at its context.
type listener struct {
	probing.NoopLogger
	s *sender
}

func (l listener) Infof(format string, _ ...any) {
	if !strings.Contains(format, "broadcast") {
		return
	}
	if l.s.tries++; l.s.tries >= refusals {
		l.s.fail(os.NewSyscallError("sendmsg", syscall.EACCES))
	}
}
