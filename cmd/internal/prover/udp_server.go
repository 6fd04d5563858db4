package prover

import (
	"maps"
	"net"
	"net/netip"
	"sync"

	"replypath/health/proof"
)

// udpServers answer datagrams from ordinary sockets, each bound to the address that it is asked at. Such answers have no
// mark of their own: it is only the chain in OUTPUT that gives them their connection's.
type udpServers struct {
	questions  []proof.Request // with the ports of the servers; those that no server could be made for are left out
	sockets    []*net.UDPConn
	goroutines sync.WaitGroup

	mu         sync.Mutex
	unanswered map[netip.AddrPort]bool // askers that are not answered yet
}

func startUDPServers(questions []proof.Request) *udpServers {
	s := &udpServers{unanswered: map[netip.AddrPort]bool{}}
	for _, q := range questions {
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
			s.goroutines.Go(func() { s.answer(socket, q) })
		}
		s.questions = append(s.questions, q)
	}
	return s
}

// answer answers the one question, and nobody else's.
func (s *udpServers) answer(socket *net.UDPConn, q proof.Request) {
	buffer := make([]byte, 64)
	for {
		_, from, err := socket.ReadFromUDPAddrPort(buffer)
		if err != nil {
			return
		}
		if from.Addr().Unmap() == q.From.Addr() && from.Port() == q.From.Port() {
			// Whether it could be sent is seen in the trap.
			socket.WriteToUDPAddrPort(buffer[:1], from)
			s.mu.Lock()
			delete(s.unanswered, q.From)
			s.mu.Unlock()
			return
		}
	}
}

// unansweredSources are the askers whom no answer has been sent to yet.
func (s *udpServers) unansweredSources() map[netip.AddrPort]bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return maps.Clone(s.unanswered)
}

func (s *udpServers) close() {
	for _, socket := range s.sockets {
		socket.Close()
	}
	s.goroutines.Wait()
}

// payload is what a datagram says: to servers of a well-known kind what they answer.
func payload(q proof.Request) []byte {
	switch {
	case q.Kind == proof.Datagram:
	case q.To.Port() == 53: // who are the root's name servers (RFC 1035)
		return []byte{'r', 'p', 0x01, 0x00, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 2, 0, 1}
	case q.To.Port() == 123: // what time is it (RFC 5905)
		return append([]byte{0x23}, make([]byte, 47)...)
	}
	return []byte("replypath asks")
}
