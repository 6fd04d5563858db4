package pair

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"sync"
	"testing"
	"time"
)

// flow is a conversation of the client with the server behind DNAT: a message each 20 ms, which comes back.
type flow struct {
	name string
	conn net.Conn
	stop chan struct{}
	done sync.WaitGroup

	mu      sync.Mutex
	answers int
	last    time.Time
	gap     time.Duration // the longest time without an answer
	ended   error         // why the conversation is over
}

const messageInterval = 20 * time.Millisecond

// serveEcho sends back what comes in to the server, by TCP and UDP.
func (n *network) serveEcho(t *testing.T) {
	t.Helper()
	for _, a := range []string{"198.18.0.100", "2001:db8:f::100"} {
		at := netip.AddrPortFrom(netip.MustParseAddr(a), 8080)
		var listener net.Listener
		var socket *net.UDPConn
		var err, udpErr error
		n.server.Do(func() {
			listener, err = net.Listen("tcp", at.String())
			socket, udpErr = net.ListenUDP("udp", net.UDPAddrFromAddrPort(at))
		})
		if err := errors.Join(err, udpErr); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			listener.Close()
			socket.Close()
		})
		go acceptAll(listener)
		go func() {
			buffer := make([]byte, 2048)
			for {
				size, from, err := socket.ReadFromUDPAddrPort(buffer)
				if errors.Is(err, net.ErrClosed) {
					return
				}
				if err == nil {
					_, _ = socket.WriteToUDPAddrPort(buffer[:size], from)
				}
			}
		}()
	}
}

func acceptAll(listener net.Listener) {
	for {
		c, err := listener.Accept()
		if err != nil {
			return
		}
		go func() {
			defer c.Close()
			buffer := make([]byte, 2048)
			for {
				size, err := c.Read(buffer)
				if err != nil {
					return
				}
				if _, err := c.Write(buffer[:size]); err != nil {
					return
				}
			}
		}()
	}
}

// startFlows starts a conversation by TCP and by UDP with each VIP of each uplink.
func (n *network) startFlows(t *testing.T) (all []*flow) {
	t.Helper()
	for uplink := range prefixes {
		for _, vip := range vips(uplink) {
			for _, proto := range []string{"tcp", "udp"} {
				f := &flow{name: fmt.Sprintf("%s to %s", proto, vip), stop: make(chan struct{}), last: time.Now()}
				var err error
				n.client.Do(func() { f.conn, err = net.DialTimeout(proto, net.JoinHostPort(vip, "8080"), time.Minute) })
				if err != nil {
					t.Fatal(err)
				}
				f.done.Go(f.send)
				f.done.Go(f.receive)
				t.Cleanup(f.end)
				all = append(all, f)
			}
		}
	}
	return all
}

func (f *flow) send() {
	tick := time.NewTicker(messageInterval)
	defer tick.Stop()
	for {
		select {
		case <-f.stop:
			return
		case <-tick.C:
			if err := f.conn.SetWriteDeadline(time.Now().Add(time.Minute)); err != nil {
				return
			}
			_, err := f.conn.Write([]byte("message"))
			if _, datagrams := f.conn.(*net.UDPConn); err != nil && !datagrams {
				f.fail(err)
				return
			}
		}
	}
}

func (f *flow) receive() {
	buffer := make([]byte, 65536)
	for {
		_, err := f.conn.Read(buffer)
		_, datagrams := f.conn.(*net.UDPConn)
		if errors.Is(err, net.ErrClosed) || err != nil && !datagrams {
			f.fail(err)
			return
		}
		if err == nil {
			f.mu.Lock()
			now := time.Now()
			f.answers, f.gap, f.last = f.answers+1, max(f.gap, now.Sub(f.last)), now
			f.mu.Unlock()
		}
	}
}

func (f *flow) fail(err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.ended == nil && !errors.Is(err, net.ErrClosed) && !errors.Is(err, os.ErrDeadlineExceeded) {
		f.ended = err
	}
}

// takeGap returns the longest time without an answer since the last call, until now.
func (f *flow) takeGap() time.Duration {
	f.mu.Lock()
	defer f.mu.Unlock()
	gap := max(f.gap, time.Since(f.last))
	f.gap = 0
	return gap
}

// state returns the number of answers, and why the conversation is over.
func (f *flow) state() (answers int, ended error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.answers, f.ended
}

func (f *flow) end() {
	select {
	case <-f.stop:
		return
	default:
	}
	close(f.stop)
	f.conn.Close()
	f.done.Wait()
}
