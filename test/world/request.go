package world

import (
	"fmt"
	"net/netip"
	"time"
)

// Kind is a kind of request.
type Kind string

// The kinds of requests, and what answers them.
const (
	KindTCP       Kind = "tcp"        // a connection and the service's hello: ServeTCP
	KindUDP       Kind = "udp"        // a datagram: ServeUDP
	KindUDPLite   Kind = "udplite"    // a datagram: ServeUDPLite
	KindPing      Kind = "ping"       // ICMP echo: the kernel
	KindClosedTCP Kind = "closed-tcp" // a connection to a port without a listener: the kernel's RST
	KindClosedUDP Kind = "closed-udp" // a datagram to a port without a listener: the kernel's port unreachable
	KindRaw       Kind = "raw"        // IP protocol 253: ServeRaw
	KindSCTP      Kind = "sctp"       // SCTP's INIT, answered by an INIT-ACK: ServeSCTP
)

// Kinds are all kinds of requests.
var Kinds = []Kind{KindTCP, KindUDP, KindUDPLite, KindPing, KindClosedTCP, KindClosedUDP, KindRaw, KindSCTP}

// Request is a packet, or connection, to a service. Only Kind and To are needed.
type Request struct {
	Kind          Kind
	To            netip.AddrPort // kinds without ports do not look at the port
	From          netip.AddrPort // the source; the zero address and port are left to the kernel
	ExpectTimeout bool           // no answer is expected: give up after a second, not after a minute
	Timeout       time.Duration  // another bound
	NoResend      bool           // send a datagram once: what counts packets needs the exact number, also on a busy machine
	Size          int            // of the payload, also of the answer's; as small as possible when 0
	DontFrag      bool           // send with DF and do not cut, whatever the kernel knows about the path (UDP and ping)
}

// Reply is what came of a request.
type Reply struct {
	OK    bool           // the right reply came, from the destination of the request
	From  netip.AddrPort // the reply's source
	Host  string         // the name of the host that answered, where a service did
	Local netip.AddrPort // the service's own address, as the service sees it
	Peer  netip.AddrPort // the client's address, as the service sees it
	Size  int            // of the answer
	Took  time.Duration
	Err   error // why it is not OK
}

// How long a request waits for its answer, and how long before it is sent again where the protocol does not.
const (
	replyTimeout   = time.Minute
	noReplyTimeout = time.Second
	resendInterval = 300 * time.Millisecond
)

// String returns the reply, or the error, in one line.
func (a Reply) String() string {
	switch {
	case !a.OK:
		return fmt.Sprintf("no answer in %s: %v", a.Took, a.Err)
	case a.Host == "":
		return fmt.Sprintf("answer from %s, %d bytes in %s", a.From, a.Size, a.Took)
	}
	return fmt.Sprintf("answer from %s, %d bytes in %s, by %s at %s to %s", a.From, a.Size, a.Took, a.Host, a.Local, a.Peer)
}

// TCP sends a request to a TCP service.
func (h *Host) TCP(to netip.AddrPort) Reply { return h.Send(Request{Kind: KindTCP, To: to}) }

// UDP sends a request to a UDP service.
func (h *Host) UDP(to netip.AddrPort) Reply { return h.Send(Request{Kind: KindUDP, To: to}) }

// Ping sends an ICMP echo request.
func (h *Host) Ping(to netip.Addr) Reply {
	return h.Send(Request{Kind: KindPing, To: netip.AddrPortFrom(to, 0)})
}

// Send sends a request and waits for its reply.
func (h *Host) Send(q Request) Reply {
	if q.From.Port() == 0 {
		q.From = netip.AddrPortFrom(q.From.Addr(), h.world.ClientPort())
	}
	began := time.Now()
	var a Reply
	switch q.Kind {
	case KindTCP, KindClosedTCP:
		a = h.sendTCP(q)
	case KindUDP:
		a = h.sendDatagram(q, UDP)
	case KindUDPLite:
		a = h.sendDatagram(q, UDPLite)
	case KindClosedUDP:
		a = h.sendClosedUDP(q)
	case KindPing:
		a = h.sendPing(q)
	case KindRaw:
		a = h.sendRaw(q)
	case KindSCTP:
		a = h.sendSCTP(q)
	default:
		a.Err = fmt.Errorf("no such kind of question: %q", q.Kind)
	}
	a.Took = time.Since(began)
	return a
}

// timeout returns how long the request waits for an answer.
func (q Request) timeout() time.Duration {
	switch {
	case q.Timeout != 0:
		return q.Timeout
	case q.ExpectTimeout:
		return noReplyTimeout
	}
	return replyTimeout
}

// local returns the address the request is bound to; ok is false when the kernel may choose.
func (q Request) local() (local netip.AddrPort, ok bool) {
	local, ok = q.From, q.From != netip.AddrPort{}
	if !local.Addr().IsValid() {
		local = netip.AddrPortFrom(unspecified(q.To.Addr()), local.Port())
	}
	return local, ok
}

// check sets OK when the reply came from the destination of the request.
func (a Reply) check(q Request) Reply {
	a.OK = a.From.Addr() == q.To.Addr() && (a.From.Port() == 0 || a.From.Port() == q.To.Port())
	if !a.OK {
		a.Err = fmt.Errorf("the request went to %s, and the reply came from %s", q.To, a.From)
	}
	return a
}
