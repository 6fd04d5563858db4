package answer

import (
	"bytes"
	"net"
	"net/netip"
	"testing"
	"time"

	"replypath/test/box"
	"replypath/test/world"
)

// outbound lets replypath choose the uplink of connections from inside, so that they have marks too.
var outbound = []string{"[outbound]", `default = "isp0"`}

func TestAClientOnThisHostIsNotPinned(t *testing.T) {
	for name, settings := range map[string][]string{"main": nil, "outbound": outbound} {
		t.Run(name, func(t *testing.T) {
			for family, client := range map[string]func(*box.Box) netip.Addr{"IPv4": func(b *box.Box) netip.Addr { return b.Client4 }, "IPv6": func(b *box.Box) netip.Addr { return b.Client6 }} {
				t.Run(family, func(t *testing.T) {
					box.EachFirewall(t, func(t *testing.T, backend string) {
						b := newBox(t, box.Conditions{}, world.Options{}, append([]string{backend}, settings...)...)
						b.Client.ServeUDP(box.ServedPort, world.Pktinfo)
						b.Apply()
						to := netip.AddrPortFrom(client(b), box.ServedPort)
						socket := unconnected(t, b.Gateway, to.Addr())
						first := ask(t, socket, to)
						b.RouteToClientBy(b.Uplinks[1])
						if second := ask(t, socket, to); second == first {
							t.Errorf("the host's own client sends from %s although main's route goes by the other uplink now", second)
						}
					})
				})
			}
		})
	}
}

// unconnected returns a socket of the host on the wildcard address of the family.
func unconnected(t *testing.T, h *world.Host, family netip.Addr) *net.UDPConn {
	t.Helper()
	network := map[bool]string{true: "udp4", false: "udp6"}[family.Is4()]
	var socket *net.UDPConn
	var err error
	h.Do(func() { socket, err = net.ListenUDP(network, nil) })
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { socket.Close() })
	return socket
}

func TestAnotherNetworkNamespaceIsNotTouched(t *testing.T) {
	group := world.NewCgroup(t)
	b := newBoxIn(t, group, box.Conditions{}, world.Options{})
	b.Gateway.ServeUDP(box.ServedPort, world.Wildcard)
	b.Apply()
	b.RecordEgress().WantRepliesFromAll(t, b.Client, datagrams)

	// A gateway with the same addresses and marks, in the same control group.
	other := box.New(t, box.Conditions{}.Build(t, 2, world.Options{}))
	other.Gateway.ServeUDP(box.ServedPort, world.Wildcard)
	other.Apply()
	wantWrong(t, other)
	b.RecordEgress().WantRepliesFromAll(t, b.Client, datagrams)

	// Each has its own programs.
	other.Settings = b.Settings
	other.Configure(other.Uplinks...)
	other.Apply()
	other.RecordEgress().WantRepliesFromAll(t, other.Client, datagrams)
	b.Must(0, "flush")
	wantWrong(t, b)
	other.RecordEgress().WantRepliesFromAll(t, other.Client, datagrams)
	other.Must(0, "flush")
	wantNoPins(t)
}

// ask sends datagrams to a service until one is answered, and returns the address that the service saw.
func ask(t *testing.T, socket *net.UDPConn, to netip.AddrPort) netip.Addr {
	t.Helper()
	buffer := make([]byte, 256)
	for late := time.Now().Add(box.EventualTimeout); time.Now().Before(late); {
		if _, err := socket.WriteToUDPAddrPort([]byte("question"), to); err != nil {
			t.Fatal(err)
		}
		if err := socket.SetReadDeadline(time.Now().Add(300 * time.Millisecond)); err != nil {
			t.Fatal(err)
		}
		n, _, err := socket.ReadFromUDPAddrPort(buffer)
		if fields := bytes.Fields(buffer[:n]); err == nil && len(fields) == 3 {
			peer, err := netip.ParseAddrPort(string(fields[2]))
			if err != nil {
				t.Fatal(err)
			}
			return peer.Addr()
		}
	}
	t.Fatalf("%s never answered", to)
	return netip.Addr{}
}
