package world

import (
	"fmt"
	"net/netip"
	"time"
)

// Kind is a kind of question.
type Kind string

// The kinds of questions, and what answers them.
const (
	AskTCP       Kind = "tcp"        // a connection and the service's hello: ServeTCP
	AskUDP       Kind = "udp"        // a datagram: ServeUDP
	AskUDPLite   Kind = "udplite"    // a datagram: ServeUDPLite
	AskPing      Kind = "ping"       // ICMP echo: the kernel
	AskClosedTCP Kind = "closed-tcp" // a connection to a port where nobody listens: the kernel's RST
	AskClosedUDP Kind = "closed-udp" // a datagram to a port where nobody listens: the kernel's port unreachable
	AskRaw       Kind = "raw"        // IP protocol 253: ServeRaw
	AskSCTP      Kind = "sctp"       // SCTP's INIT, answered by an INIT-ACK: ServeSCTP
)

// Kinds are all kinds of questions.
var Kinds = []Kind{AskTCP, AskUDP, AskUDPLite, AskPing, AskClosedTCP, AskClosedUDP, AskRaw, AskSCTP}

// Question is something a host asks. Only Kind and To are needed.
type Question struct {
	Kind     Kind
	To       netip.AddrPort // kinds without ports do not look at the port
	From     netip.AddrPort // the source; the zero address and port are left to the kernel
	Silence  bool           // no answer is expected: give up after a second, not after five
	Timeout  time.Duration  // another bound
	Size     int            // of the payload, also of the answer's; as small as possible when 0
	DontFrag bool           // send with DF and do not cut, whatever the kernel knows about the path (UDP and ping)
}

// Answer is what came of a question.
type Answer struct {
	OK   bool           // the right answer came, from the address that was asked
	From netip.AddrPort // who answered
	By   string         // the name of the host that answered, where a service did
	At   netip.AddrPort // the service's own address, as the service sees it
	Saw  netip.AddrPort // the asker's address, as the service sees it
	Size int            // of the answer
	Took time.Duration
	Err  error // why it is not OK
}

// How long a question waits for its answer, and how long before it is sent again where the protocol does not.
const (
	answerTime  = 5 * time.Second
	silenceTime = time.Second
	resendTime  = 300 * time.Millisecond
)

// String says what came in one line.
func (a Answer) String() string {
	switch {
	case !a.OK:
		return fmt.Sprintf("no answer in %s: %v", a.Took, a.Err)
	case a.By == "":
		return fmt.Sprintf("answer from %s, %d bytes in %s", a.From, a.Size, a.Took)
	}
	return fmt.Sprintf("answer from %s, %d bytes in %s, by %s at %s to %s", a.From, a.Size, a.Took, a.By, a.At, a.Saw)
}

// TCP asks a TCP service.
func (h *Host) TCP(to netip.AddrPort) Answer { return h.Ask(Question{Kind: AskTCP, To: to}) }

// UDP asks a UDP service.
func (h *Host) UDP(to netip.AddrPort) Answer { return h.Ask(Question{Kind: AskUDP, To: to}) }

// Ping sends an ICMP echo request.
func (h *Host) Ping(to netip.Addr) Answer {
	return h.Ask(Question{Kind: AskPing, To: netip.AddrPortFrom(to, 0)})
}

// Ask asks a question and waits for its answer.
func (h *Host) Ask(q Question) Answer {
	began := time.Now()
	var a Answer
	switch q.Kind {
	case AskTCP, AskClosedTCP:
		a = h.askTCP(q)
	case AskUDP:
		a = h.askDatagram(q, UDP)
	case AskUDPLite:
		a = h.askDatagram(q, UDPLite)
	case AskClosedUDP:
		a = h.askClosedUDP(q)
	case AskPing:
		a = h.askPing(q)
	case AskRaw:
		a = h.askRaw(q)
	case AskSCTP:
		a = h.askSCTP(q)
	default:
		a.Err = fmt.Errorf("no such kind of question: %q", q.Kind)
	}
	a.Took = time.Since(began)
	return a
}

// patience is how long the question waits for an answer.
func (q Question) patience() time.Duration {
	switch {
	case q.Timeout != 0:
		return q.Timeout
	case q.Silence:
		return silenceTime
	}
	return answerTime
}

// local is the address the question is bound to; ok is false when the kernel may choose.
func (q Question) local() (local netip.AddrPort, ok bool) {
	local, ok = q.From, q.From != netip.AddrPort{}
	if !local.Addr().IsValid() {
		local = netip.AddrPortFrom(everywhere(q.To.Addr()), local.Port())
	}
	return local, ok
}

// judge says whether an answer came from the address that was asked.
func (a Answer) judge(q Question) Answer {
	a.OK = a.From.Addr() == q.To.Addr() && (a.From.Port() == 0 || a.From.Port() == q.To.Port())
	if !a.OK {
		a.Err = fmt.Errorf("%s was asked and %s answered", q.To, a.From)
	}
	return a
}
