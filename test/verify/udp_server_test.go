package verify

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"testing"
	"time"

	"replypath/test/box"
	"replypath/test/world"
)

// TestVerifyAsksForPortsOfUDPServersWithoutThem plants rules for the ports of UDP servers, one bound to the addresses of the uplinks, one
// to all addresses. The proof answers in their place: they receive nothing.
func TestVerifyAsksForPortsOfUDPServersWithoutThem(t *testing.T) {
	t.Parallel()
	box.EachFirewall(t, func(t *testing.T, backend string) {
		w := world.TwoISPs(t)
		b := box.New(t, w, backend)
		var servers []*net.UDPConn
		listen := func(at netip.AddrPort) {
			w.Gateway.Do(func() {
				socket, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(at))
				if err != nil {
					t.Fatal(err)
				}
				t.Cleanup(func() { socket.Close() })
				servers = append(servers, socket)
			})
		}
		for _, a := range w.Uplinks[1].Addrs() {
			listen(netip.AddrPortFrom(a, 5353))
		}
		listen(netip.AddrPortFrom(netip.IPv6Unspecified(), 53)) // of both families
		b.Apply()
		for _, family := range []int{4, 6} { // they select what replies do not have
			b.Iptables(family, "-t", "mangle", "-A", "POSTROUTING", "-p", "udp", "-m", "multiport", "--sports", "53,5353", "-o", "lo", "-j", "DROP")
		}
		pinNeighbours(b)
		wires, traces := uplinkWires(b), kernelTraces(b)
		v := b.Verify()
		v.WantOK(t, 2)
		for _, p := range v.Paths {
			asked := map[string]bool{}
			for _, q := range p.Questions {
				asked[q.To] = asked[q.To] || q.Kind == "datagram"
			}
			for _, port := range []uint16{53, 5353} {
				at := w.Uplinks[map[string]int{"isp0": 0, "isp1": 1}[p.Uplink]].Addrs()[map[string]int{"ipv4": 0, "ipv6": 1}[p.Family]]
				if to := netip.AddrPortFrom(at, port).String(); !asked[to] {
					t.Errorf("%s %s: no datagram to %s: %+v", p.Uplink, p.Family, to, p.Questions)
				}
			}
		}
		wantNoTraces(t, b, wires, traces)
		for _, family := range []int{4, 6} {
			b.Shell(fmt.Sprintf("nft add table %s t; nft 'add chain %[1]s t p { type filter hook postrouting priority 50; }'; nft add rule %[1]s t p udp sport %d drop", nftFamily(family), map[int]int{4: 5353, 6: 53}[family]))
			v := b.Verify()
			v.Path(w.Uplinks[1], family).WantShown(t, "no reply-dropped")
		}
		for _, s := range servers {
			_ = s.SetReadDeadline(time.Now())
			if n, from, err := s.ReadFromUDPAddrPort(make([]byte, 64)); !errors.Is(err, os.ErrDeadlineExceeded) {
				t.Errorf("the server at %s has received %d bytes from %s: %v", s.LocalAddr(), n, from, err)
			}
		}
	})
}
