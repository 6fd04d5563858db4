package intercept

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"

	"replypath/test/world"

	"golang.org/x/sys/unix"
)

// byProxy begins the host name in what a proxy passes on, which a direct answer lacks.
const byProxy = "proxied-"

// transparentProxy relays TCP with the address of its client, and answers UDP from the address that was asked.
type transparentProxy struct {
	t       *testing.T
	host    *world.Host
	forward func(asked netip.AddrPort) netip.AddrPort // where it connects to

	mu    sync.Mutex
	open  map[io.Closer]bool
	ended bool
	dials sync.WaitGroup
	// A socket is open until the goroutine that uses it has seen that it is closed.
	serving, relaying sync.WaitGroup

	datagrams atomic.Int64 // that it has got
}

// startProxy starts a proxy on all addresses of both families. Without forward it connects to where its client wanted.
func startProxy(t *testing.T, host *world.Host, proto string, port uint16, forward func(netip.AddrPort) netip.AddrPort) *transparentProxy {
	t.Helper()
	return startProxyAt(t, host, proto, port, forward, netip.IPv4Unspecified(), netip.IPv6Unspecified())
}

// startProxyAt starts a proxy on these addresses.
func startProxyAt(t *testing.T, host *world.Host, proto string, port uint16, forward func(netip.AddrPort) netip.AddrPort, at ...netip.Addr) *transparentProxy {
	t.Helper()
	if forward == nil {
		forward = func(asked netip.AddrPort) netip.AddrPort { return asked }
	}
	p := &transparentProxy{t: t, host: host, forward: forward, open: map[io.Closer]bool{}}
	for _, a := range at {
		var err error
		if proto == "tcp" {
			err = p.serveTCP(netip.AddrPortFrom(a, port))
		} else {
			err = p.serveUDP(netip.AddrPortFrom(a, port))
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	t.Cleanup(p.close)
	return p
}

// close ends the proxy as a kill does: its listeners and connections. No connection is opened afterwards.
func (p *transparentProxy) close() {
	p.mu.Lock()
	p.ended = true
	for c := range p.open {
		c.Close()
	}
	clear(p.open)
	p.mu.Unlock()
	p.dials.Wait()
	p.serving.Wait()
	p.relaying.Wait()
}

// beginDial reports whether the proxy may open a connection, which ends with p.dials.Done.
func (p *transparentProxy) beginDial() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.ended {
		p.dials.Add(1)
	}
	return !p.ended
}

// stopListening ends the listeners and no connection.
func (p *transparentProxy) stopListening() {
	p.mu.Lock()
	for c := range p.open {
		if l, is := c.(net.Listener); is {
			l.Close()
			delete(p.open, c)
		}
	}
	p.mu.Unlock()
	p.serving.Wait()
}

// keep remembers what close must close; false means that the proxy has ended.
func (p *transparentProxy) keep(c io.Closer) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.ended {
		c.Close()
		return false
	}
	p.open[c] = true
	return true
}

func (p *transparentProxy) drop(c io.Closer) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.open, c)
	c.Close()
}

// transparent sets IP_TRANSPARENT and, for UDP, that the kernel says where a datagram was sent to.
func transparent(network, _ string, raw syscall.RawConn) error {
	var err error
	set := func(fd uintptr, level, option int) {
		if err == nil {
			err = unix.SetsockoptInt(int(fd), level, option, 1)
		}
	}
	failed := raw.Control(func(fd uintptr) {
		if set(fd, unix.SOL_SOCKET, unix.SO_REUSEADDR); strings.HasSuffix(network, "4") {
			set(fd, unix.SOL_IP, unix.IP_TRANSPARENT)
			set(fd, unix.SOL_IP, unix.IP_RECVORIGDSTADDR)
			return
		}
		set(fd, unix.SOL_IPV6, unix.IPV6_TRANSPARENT)
		set(fd, unix.SOL_IPV6, unix.IPV6_RECVORIGDSTADDR)
	})
	if failed != nil {
		return failed
	}
	return err
}

func network(proto string, a netip.Addr) string {
	if a.Is4() {
		return proto + "4"
	}
	return proto + "6"
}

func (p *transparentProxy) serveTCP(at netip.AddrPort) (err error) {
	config := net.ListenConfig{Control: transparent}
	config.SetMultipathTCP(false)
	var l net.Listener
	err = p.host.Bind(func() (err error) {
		l, err = config.Listen(context.Background(), network("tcp", at.Addr()), at.String())
		return err
	})
	if err != nil {
		return err
	}
	p.keep(l)
	p.serving.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			if p.keep(c) {
				p.relaying.Go(func() { p.relay(c) })
			}
		}
	})
	return nil
}

// relay connects on with the client's address, marks the first line that comes back, and copies the rest.
func (p *transparentProxy) relay(c net.Conn) {
	defer p.drop(c)
	client := c.RemoteAddr().(*net.TCPAddr)
	asked := c.LocalAddr().(*net.TCPAddr).AddrPort()
	to := p.forward(netip.AddrPortFrom(asked.Addr().Unmap(), asked.Port()))
	dialer := net.Dialer{Timeout: askTimeout, Control: transparent, LocalAddr: &net.TCPAddr{IP: client.IP}}
	dialer.SetMultipathTCP(false)
	var server net.Conn
	var err error
	if !p.beginDial() {
		return
	}
	p.host.Do(func() { server, err = dialer.Dial(network("tcp", to.Addr()), to.String()) })
	p.dials.Done()
	if err != nil || !p.keep(server) {
		return
	}
	defer p.drop(server)
	p.relaying.Go(func() {
		io.Copy(server, c)
		server.(*net.TCPConn).CloseWrite()
	})
	r := bufio.NewReader(server)
	line, err := r.ReadString('\n')
	if err != nil {
		return
	}
	if _, err := io.WriteString(c, byProxy+line); err == nil {
		io.Copy(c, r)
	}
}

func (p *transparentProxy) serveUDP(at netip.AddrPort) (err error) {
	config := net.ListenConfig{Control: transparent}
	var l net.PacketConn
	err = p.host.Bind(func() (err error) {
		l, err = config.ListenPacket(context.Background(), network("udp", at.Addr()), at.String())
		return err
	})
	if err != nil {
		return err
	}
	p.keep(l)
	p.serving.Go(func() {
		buffer, control := make([]byte, 64<<10), make([]byte, 256)
		for {
			n, cn, _, client, err := l.(*net.UDPConn).ReadMsgUDPAddrPort(buffer, control)
			if err != nil {
				return
			}
			p.datagrams.Add(1)
			p.reply(asked(control[:cn]), client, buffer[:n])
		}
	})
	return nil
}

// asked returns where a datagram was sent to.
func asked(control []byte) netip.AddrPort {
	messages, err := unix.ParseSocketControlMessage(control)
	if err != nil {
		return netip.AddrPort{}
	}
	for _, m := range messages {
		if to, err := unix.ParseOrigDstAddr(&m); err == nil {
			switch to := to.(type) {
			case *unix.SockaddrInet4:
				return netip.AddrPortFrom(netip.AddrFrom4(to.Addr), uint16(to.Port))
			case *unix.SockaddrInet6:
				return netip.AddrPortFrom(netip.AddrFrom16(to.Addr), uint16(to.Port))
			}
		}
	}
	return netip.AddrPort{}
}

// reply answers a datagram as the services of the world do, under the name of the proxy.
func (p *transparentProxy) reply(from, client netip.AddrPort, request []byte) {
	client = netip.AddrPortFrom(client.Addr().Unmap(), client.Port())
	config := net.ListenConfig{Control: transparent}
	var s net.PacketConn
	var err error
	p.host.Do(func() { s, err = config.ListenPacket(context.Background(), network("udp", from.Addr()), from.String()) })
	if err != nil {
		p.t.Logf("the proxy cannot answer from %s: %v", from, err)
		return
	}
	defer s.Close()
	reply := append([]byte(nil), request[:min(8, len(request))]...)
	reply = fmt.Appendf(reply, "%s%s %s %s\n", byProxy, p.host.Name, from, client)
	if short := len(request) - len(reply); short > 0 {
		reply = append(reply, make([]byte, short)...)
	}
	s.WriteTo(reply, net.UDPAddrFromAddrPort(client))
}
