package world

import (
	"context"
	"io"
	"net"
	"net/netip"
	"sync"
)

// Service answers on a host until it is closed or the world ends.
type Service struct {
	Host  *Host
	stop  func()
	close sync.Once
}

// Close ends the service and its connections.
func (s *Service) Close() { s.close.Do(s.stop) }

func (h *Host) newService(stop func()) *Service {
	s := &Service{Host: h, stop: stop}
	h.world.atEnd(s.Close)
	return s
}

// ServeTCP accepts connections on all addresses of both families. It sends its hello and then echoes what it receives.
func (h *Host) ServeTCP(port uint16) *Service {
	h.world.tb.Helper()
	a, b := h.ServeTCPAt(netip.AddrPortFrom(netip.IPv4Unspecified(), port)), h.ServeTCPAt(netip.AddrPortFrom(netip.IPv6Unspecified(), port))
	return h.newService(func() { a.Close(); b.Close() })
}

// ServeTCPAt returns ServeTCP on one address.
func (h *Host) ServeTCPAt(at netip.AddrPort) *Service {
	h.world.tb.Helper()
	config := net.ListenConfig{}
	config.SetMultipathTCP(false)
	var listener net.Listener
	err := h.Bind(func() (err error) {
		listener, err = config.Listen(context.Background(), network("tcp", at.Addr()), at.String())
		return err
	})
	h.must(err, "serve TCP")
	conns := &accepted{open: map[net.Conn]bool{}}
	h.world.start(func() { h.accept(listener, conns) })
	return h.newService(func() {
		listener.Close()
		conns.close()
	})
}

func (h *Host) accept(listener net.Listener, conns *accepted) {
	for {
		c, err := listener.Accept()
		if err != nil {
			return
		}
		if !conns.add(c) {
			return
		}
		h.world.start(func() {
			defer conns.drop(c)
			greeting := hello{h.Name, c.LocalAddr().(*net.TCPAddr).AddrPort(), c.RemoteAddr().(*net.TCPAddr).AddrPort()}
			if _, err := io.WriteString(c, greeting.String()); err == nil {
				echo(c)
			}
		})
	}
}

// echo sends back what comes. It does so in user space: the kernel's splice would take a pipe per connection.
func echo(c net.Conn) {
	buffer := make([]byte, 64<<10)
	for {
		n, err := c.Read(buffer)
		if err != nil {
			return
		}
		if _, err := c.Write(buffer[:n]); err != nil {
			return
		}
	}
}

// accepted are the open connections of a service.
type accepted struct {
	mu     sync.Mutex
	open   map[net.Conn]bool
	closed bool
}

func (cs *accepted) add(c net.Conn) bool {
	cs.mu.Lock()
	defer cs.mu.Unlock()
	if cs.closed {
		c.Close()
		return false
	}
	cs.open[c] = true
	return true
}

func (cs *accepted) drop(c net.Conn) {
	cs.mu.Lock()
	defer cs.mu.Unlock()
	delete(cs.open, c)
	c.Close()
}

func (cs *accepted) close() {
	cs.mu.Lock()
	defer cs.mu.Unlock()
	cs.closed = true
	for c := range cs.open {
		c.Close()
	}
}

// network returns Go's name for a protocol over the address's family.
func network(protocol string, a netip.Addr) string {
	if a.Is4() {
		return protocol + "4"
	}
	return protocol + "6"
}
