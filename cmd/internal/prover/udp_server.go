package prover

import (
	"maps"
	"net"
	"net/netip"
	"sync"

	"replypath/health/proof"
)

// udpServers reply to the datagrams of requests from ordinary sockets, each bound to the destination of its request. The
// sockets have no mark: only the chain in OUTPUT gives their replies the mark of the connection.
type udpServers struct {
	requests   []proof.Request // with the ports of the servers; a request without a server is left out
	sockets    []*net.UDPConn
	goroutines sync.WaitGroup

	mu         sync.Mutex
	unanswered map[netip.AddrPort]bool // peers
}

// startUDPServers starts a server for each datagram request.
func startUDPServers(requests []proof.Request) *udpServers {
	s := &udpServers{unanswered: map[netip.AddrPort]bool{}}
	for _, q := range requests {
		if q.Kind == proof.Datagram {
			socket, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(q.To))
			if err != nil {
				continue
			}
			s.sockets = append(s.sockets, socket)
			q.To = netip.AddrPortFrom(q.To.Addr(), socket.LocalAddr().(*net.UDPAddr).AddrPort().Port())
			s.mu.Lock()
			s.unanswered[q.From] = true
			s.mu.Unlock()
			s.goroutines.Go(func() { s.serve(socket, q) })
		}
		s.requests = append(s.requests, q)
	}
	return s
}

// serve replies to the request, and to nothing else.
func (s *udpServers) serve(socket *net.UDPConn, q proof.Request) {
	buffer := make([]byte, 64)
	for {
		_, from, err := socket.ReadFromUDPAddrPort(buffer)
		if err != nil {
			return
		}
		if from.Addr().Unmap() == q.From.Addr() && from.Port() == q.From.Port() {
			_, _ = socket.WriteToUDPAddrPort(buffer[:1], from) // the capture shows whether it was sent
			s.mu.Lock()
			delete(s.unanswered, q.From)
			s.mu.Unlock()
			return
		}
	}
}

// unansweredPeers returns the peers whose request has no reply yet.
func (s *udpServers) unansweredPeers() map[netip.AddrPort]bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return maps.Clone(s.unanswered)
}

// close stops the servers. It may be called again.
func (s *udpServers) close() {
	for _, socket := range s.sockets {
		socket.Close()
	}
	s.goroutines.Wait()
}

// payload returns the payload of a UDP request: for servers of well-known ports a query that they answer.
func payload(q proof.Request) []byte {
	switch {
	case q.Kind == proof.Datagram:
	case q.To.Port() == 53: // the name servers of the root (RFC 1035)
		return []byte{'r', 'p', 0x01, 0x00, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 2, 0, 1}
	case q.To.Port() == 123: // a client's request of NTP version 4 (RFC 5905)
		return append([]byte{0x23}, make([]byte, 47)...)
	}
	return []byte("replypath proof")
}
