package answer

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"strings"
	"testing"
	"time"

	"replypath/test/box"
	"replypath/test/world"
)

// unguarded is the age of a request from which on a dead service's programs do not choose an address any more.
const unguarded = time.Second

func TestNoReplyComesFromAnAddressThatIsGone(t *testing.T) {
	for service, dead := range map[string]bool{"alive": false, "killed": true} {
		t.Run(service, func(t *testing.T) {
			box.EachFirewall(t, func(t *testing.T, backend string) { testAddressIsGone(t, backend, dead) })
		})
	}
}

func testAddressIsGone(t *testing.T, backend string, dead bool) {
	b := newBox(t, box.Conditions{RPFilter: 1}, world.Options{SecondAddr: []int{1}}, backend)
	u := b.Uplinks[1]
	all := []netip.Addr{u.Second4, u.Second6}
	sockets := map[netip.Addr]*net.UDPConn{}
	for _, a := range all {
		sockets[a] = serve(t, b.Gateway, a)
	}
	s := b.Start()
	clients := map[netip.Addr]netip.AddrPort{}
	for _, a := range all {
		clients[a] = request(t, b, sockets[a], a)
	}
	if dead {
		s.Kill()
	}
	for _, a := range all {
		b.Gateway.Run("ip", "address", "del", fmt.Sprintf("%s/%d", a, map[bool]int{true: 24, false: 64}[a.Is4()]), "dev", u.Link.Name)
	}
	if dead {
		time.Sleep(unguarded + unguarded/10) // a dead service's programs go by the clock
	} else {
		awaitForbidden(t, s, all)
	}
	p := b.RecordEgress()
	for _, a := range all {
		// Without the address the kernel chooses another one, or finds no route.
		if _, err := sockets[a].WriteToUDPAddrPort([]byte("late"), clients[a]); err != nil && errors.Is(err, os.ErrClosed) {
			t.Fatal(err)
		}
	}
	b.Settle()
	for _, a := range all {
		for i := range b.Uplinks {
			if n := p.Replies(i, a); n > 0 {
				t.Errorf("a reply from %s, which is gone, left by eth%d", a, i)
			}
		}
	}
	if !dead {
		s.Stop()
	}
}

// serve returns a socket on the wildcard address of the family.
func serve(t *testing.T, h *world.Host, family netip.Addr) *net.UDPConn {
	t.Helper()
	network := map[bool]string{true: "udp4", false: "udp6"}[family.Is4()]
	var socket *net.UDPConn
	err := h.Bind(func() (err error) {
		socket, err = net.ListenUDP(network, &net.UDPAddr{Port: box.ServedPort})
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { socket.Close() })
	return socket
}

// request sends a request from a client to the address, and returns the client once the server's socket has it.
func request(t *testing.T, b *box.Box, server *net.UDPConn, to netip.Addr) netip.AddrPort {
	t.Helper()
	local := netip.AddrPortFrom(b.ClientAddr(to), b.ClientPort())
	client := b.Connected(b.Client, local, netip.AddrPortFrom(to, box.ServedPort))
	for late := time.Now().Add(box.EventualTimeout); time.Now().Before(late); {
		if _, err := client.Write([]byte("question")); err != nil {
			t.Fatal(err)
		}
		if err := server.SetReadDeadline(time.Now().Add(300 * time.Millisecond)); err != nil {
			t.Fatal(err)
		}
		if _, from, err := server.ReadFromUDPAddrPort(make([]byte, 64)); err == nil {
			return from
		}
	}
	t.Fatalf("no request reaches %s", to)
	return netip.AddrPort{}
}

// awaitForbidden waits until the service says that the programs must not choose the addresses any more.
func awaitForbidden(t *testing.T, s *box.Service, all []netip.Addr) {
	t.Helper()
	for _, a := range all {
		for late := time.Now().Add(box.EventualTimeout); !strings.Contains(s.Log.String(), fmt.Sprintf("no longer reply from %s\"", a)); time.Sleep(10 * time.Millisecond) {
			if time.Now().After(late) {
				t.Fatalf("the service never says that nobody replies from %s any more", a)
			}
		}
	}
}
