package prover

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"syscall"

	"replypath/health/proof"
	"replypath/health/proof/inject"
	"replypath/uplinks"

	"golang.org/x/sys/unix"
)

// standInForProxies starts the sockets that get the datagrams of requests in place of transparent proxies, and names the proxies of
// requests whose ports are known only now.
func (r *run) standInForProxies(s *udpServers) {
	families := map[uplinks.Family]bool{}
	for i := range s.requests {
		if q := &s.requests[i]; q.Proto == "udp" {
			r.host.NameProxy(q)
			families[q.Path.Family] = families[q.Path.Family] || q.Proxy != (proof.Proxy{})
		}
	}
	for _, f := range uplinks.Families {
		if families[f] && !s.standInForProxy(f) {
			s.askNoProxies(f)
		}
	}
}

// askNoProxies removes the requests that are made for proxies of UDP of the family: without a socket in their place they would get
// datagrams that they may not understand.
func (s *udpServers) askNoProxies(f uplinks.Family) {
	s.requests = slices.DeleteFunc(s.requests, func(q proof.Request) bool { return q.Kind == proof.Proxied && q.Proto == "udp" && q.Path.Family == f })
}

// withoutStandIns stops asking proxies of UDP, as the kernel does not redirect the requests.
func (s *udpServers) withoutStandIns() {
	for _, f := range uplinks.Families {
		s.askNoProxies(f)
	}
	s.mu.Lock()
	s.proxied = nil
	s.mu.Unlock()
}

// proxySockets returns the addresses of the sockets that stand in for proxies.
func (s *udpServers) proxySockets() (all []netip.AddrPort) {
	for _, socket := range s.proxies {
		all = append(all, socket.LocalAddr().(*net.UDPAddr).AddrPort())
	}
	return all
}

// loopback has the addresses at which the sockets receive: nothing of other hosts is delivered there.
var loopback = map[uplinks.Family]string{uplinks.IPv4: "127.0.0.1:0", uplinks.IPv6: "[::1]:0"}

// standInForProxy starts the socket of the family, and reports whether it could.
func (s *udpServers) standInForProxy(f uplinks.Family) bool {
	config := net.ListenConfig{Control: func(_, _ string, raw syscall.RawConn) (err error) {
		controlErr := raw.Control(func(fd uintptr) { err = setTransparent(int(fd), f) })
		if err == nil {
			err = controlErr
		}
		return err
	}}
	network := map[uplinks.Family]string{uplinks.IPv4: "udp4", uplinks.IPv6: "udp6"}[f]
	socket, err := config.ListenPacket(context.Background(), network, loopback[f])
	if err != nil {
		return false
	}
	s.mu.Lock()
	if s.proxied == nil {
		s.proxied = map[netip.AddrPort]bool{}
	}
	s.mu.Unlock()
	s.proxies = append(s.proxies, socket.(*net.UDPConn))
	s.goroutines.Go(func() { s.serveProxied(socket.(*net.UDPConn)) })
	return true
}

// setTransparent lets the socket have addresses of others, and makes the kernel report where a datagram was sent to.
func setTransparent(fd int, f uplinks.Family) error {
	level, options := unix.IPPROTO_IP, []int{unix.IP_TRANSPARENT, unix.IP_RECVORIGDSTADDR}
	if f == uplinks.IPv6 {
		level, options = unix.IPPROTO_IPV6, []int{unix.IPV6_TRANSPARENT, unix.IPV6_RECVORIGDSTADDR}
	}
	for _, option := range options {
		if err := unix.SetsockoptInt(fd, level, option, 1); err != nil {
			return fmt.Errorf("set the option %d of a socket: %w", option, err)
		}
	}
	return nil
}

// serveProxied replies to datagrams that carry the secret from where they were sent to.
func (s *udpServers) serveProxied(socket *net.UDPConn) {
	buffer, control := make([]byte, 128), make([]byte, 128)
	for {
		n, cn, _, from, err := socket.ReadMsgUDPAddrPort(buffer, control)
		if err != nil {
			return
		}
		asked, found := originalDestination(control[:cn])
		if !found || !s.secret.In(buffer[:n]) {
			continue
		}
		from = netip.AddrPortFrom(from.Addr().Unmap(), from.Port())
		_ = sendFrom(asked, from, buffer[:1]) // the capture shows whether it was sent
		s.mu.Lock()
		s.proxied[from] = true
		s.mu.Unlock()
	}
}

// originalDestination returns where a datagram was sent to, as the kernel reports it.
func originalDestination(control []byte) (netip.AddrPort, bool) {
	messages, err := unix.ParseSocketControlMessage(control)
	if err != nil {
		return netip.AddrPort{}, false
	}
	for _, m := range messages {
		at, err := unix.ParseOrigDstAddr(&m)
		if err != nil {
			continue
		}
		switch at := at.(type) {
		case *unix.SockaddrInet4:
			return netip.AddrPortFrom(netip.AddrFrom4(at.Addr), uint16(at.Port)), true
		case *unix.SockaddrInet6:
			return netip.AddrPortFrom(netip.AddrFrom16(at.Addr), uint16(at.Port)), true
		}
	}
	return netip.AddrPort{}, false
}

// sendFrom sends a datagram from an address that need not be one of the host, as a whole packet: a socket of UDP that is bound to the
// address and port of a proxy would receive what others send to it.
func sendFrom(from, to netip.AddrPort, payload []byte) error {
	family := unix.AF_INET
	if from.Addr().Is6() {
		family = unix.AF_INET6
	}
	fd, err := unix.Socket(family, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.IPPROTO_RAW)
	if err != nil {
		return fmt.Errorf("make a raw socket: %w", err)
	}
	defer unix.Close(fd)
	if err := setTransparent(fd, uplinks.FamilyOf(from.Addr())); err != nil {
		return err
	}
	if err := unix.Bind(fd, sockaddr(from.Addr())); err != nil {
		return fmt.Errorf("bind a raw socket to %s: %w", from.Addr(), err)
	}
	if err := unix.Sendto(fd, inject.UDPPacket(from, to, payload), 0, sockaddr(to.Addr())); err != nil {
		return fmt.Errorf("send a datagram from %s to %s: %w", from, to, err)
	}
	return nil
}

// sockaddr returns the address without a port.
func sockaddr(a netip.Addr) unix.Sockaddr {
	if a.Is4() {
		return &unix.SockaddrInet4{Addr: a.As4()}
	}
	return &unix.SockaddrInet6{Addr: a.As16()}
}
