package prover

import (
	"bytes"
	"errors"
	"maps"
	"net"
	"net/netip"
	"slices"
	"sync"

	"replypath/health/proof"

	"golang.org/x/sys/unix"
)

// udpServers reply to the datagrams of requests from ordinary sockets, each bound to the destination of its request. The
// sockets have no mark: only the chain in OUTPUT gives their replies the mark of the connection.
type udpServers struct {
	requests   []proof.Request // with the ports of the servers; a request without a server is left out
	sockets    []*net.UDPConn
	goroutines sync.WaitGroup

	secret proof.Secret

	proxies []*net.UDPConn // stand in for transparent proxies, one for each family

	mu         sync.Mutex
	unanswered map[netip.AddrPort]bool // the addresses of the servers
	proxied    map[netip.AddrPort]bool // the peers of datagrams for proxies that were replied to
}

// startUDPServers starts a server for each datagram request.
func startUDPServers(requests []proof.Request, secret proof.Secret) *udpServers {
	s := &udpServers{secret: secret, unanswered: map[netip.AddrPort]bool{}}
	for _, q := range requests {
		if q.Kind == proof.Datagram {
			socket, err := listenUDP(q)
			hasServer := errors.Is(err, unix.EADDRINUSE)
			if hasServer {
				elsewhere := q
				elsewhere.To = netip.AddrPortFrom(q.To.Addr(), 0)
				socket, err = listenUDP(elsewhere)
			}
			if err != nil {
				continue
			}
			s.sockets = append(s.sockets, socket)
			if port := socket.LocalAddr().(*net.UDPAddr).AddrPort().Port(); hasServer {
				q.StandIn = port
			} else {
				q.To = netip.AddrPortFrom(q.To.Addr(), port)
			}
			s.mu.Lock()
			s.unanswered[q.To] = true
			s.mu.Unlock()
			s.goroutines.Go(func() { s.serve(socket, q) })
		}
		s.requests = append(s.requests, q)
	}
	return s
}

// serve replies to datagrams of the peer that carry the secret, and to nothing else.
func (s *udpServers) serve(socket *net.UDPConn, q proof.Request) {
	buffer, offset := make([]byte, 64), int(proof.SecretOffset(q.To.Port()))
	for {
		n, from, err := socket.ReadFromUDPAddrPort(buffer)
		if err != nil {
			return
		}
		if from.Addr().Unmap() == q.From.Addr() && bytes.HasPrefix(buffer[min(offset, n):n], s.secret[:]) {
			_, _ = socket.WriteToUDPAddrPort(buffer[:1], from) // the capture shows whether it was sent
			s.mu.Lock()
			delete(s.unanswered, q.To)
			s.mu.Unlock()
		}
	}
}

// replies returns what the servers have replied to.
func (s *udpServers) replies() proof.OwnReplies {
	s.mu.Lock()
	defer s.mu.Unlock()
	return proof.OwnReplies{Unanswered: maps.Clone(s.unanswered), Proxied: maps.Clone(s.proxied)}
}

// close stops the servers. It may be called again.
func (s *udpServers) close() {
	for _, socket := range slices.Concat(s.sockets, s.proxies) {
		socket.Close()
	}
	s.goroutines.Wait()
}
