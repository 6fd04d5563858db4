package routers

import (
	"net"
	"net/netip"
	"strconv"
	"strings"
	"testing"
	"time"

	"replypath/test/box"
	"replypath/test/world"
)

// strayCounter counts what a router gets for the client of another one, from one port of the gateway.
type strayCounter struct {
	router *router
	text   string // of its rules
}

// countStrays makes the router count what it gets for the client of another one from the port of the gateway.
func (r *router) countStrays(other *router, port uint16) strayCounter {
	text := "spt:" + strconv.Itoa(int(port))
	for i, a := range []netip.Addr{other.Client4, other.Client6} {
		for _, protocol := range []string{"tcp", "udp"} {
			r.Run([]string{"iptables", "ip6tables"}[i], "-t", "raw", "-A", "PREROUTING", "-i", "w0", "-d", a.String(), "-p", protocol, "--sport", strconv.Itoa(int(port)))
		}
	}
	return strayCounter{r, text}
}

// packets returns how many there were.
func (c strayCounter) packets(t *testing.T) (n int) {
	t.Helper()
	for _, command := range []string{"iptables", "ip6tables"} {
		for line := range strings.Lines(c.router.Run(command, "-t", "raw", "-vnxL", "PREROUTING")) {
			if !strings.Contains(line, c.text) {
				continue
			}
			packets, err := strconv.Atoi(strings.Fields(line)[0])
			if err != nil {
				t.Fatalf("%q: %v", line, err)
			}
			n += packets
		}
	}
	return n
}

// neighbour sets the gateway's entries for both addresses of the router: while it is permanent, the kernel follows no change.
func (o *office) neighbour(r *router, mac, state string) {
	o.T.Helper()
	for i, a := range []string{r.Addr4.String(), r.LL.String()} {
		o.Gateway.Run("ip", []string{"-4", "-6"}[i], "neigh", "replace", a, "dev", "eth1", "lladdr", mac, "nud", state)
	}
}

// awaitNeighbour waits until the gateway's entries for both addresses of the router have its hardware address.
func (o *office) awaitNeighbour(t *testing.T, r *router) {
	t.Helper()
	box.Eventually(t, box.EventualTimeout, "the neighbour table has "+r.MAC, func() bool {
		return strings.Count(o.Gateway.Run("ip", "neigh", "show", "dev", "eth1"), r.MAC) >= 2
	})
}

// Connections that begin while a router has a hardware address that nobody knows go wrong, until the kernel's neighbour entry
// changes: from then on each of them is right at its next packet, whether it is a datagram or the SYN that the client repeats.
func TestConnectionsGoOnWhenTheNeighbourEntryChanges(t *testing.T) {
	t.Parallel()
	box.EachFirewall(t, func(t *testing.T, backend string) {
		o, cable := startKnowing(t, backend)
		strays := o.Routers[0].countStrays(cable, box.ServedPort)
		o.neighbour(cable, cable.MAC, "permanent")
		cable.setMAC("02:00:00:0b:03:01")
		for _, to := range o.to() { // the router is not to ask for the gateway, as an answer would have the permanent entry's address
			cable.Run("ip", "neigh", "replace", to.String(), "dev", "w0", "lladdr", hardwareAddr(o.Gateway, "eth1"), "nud", "permanent")
		}
		type handshake struct {
			to    netip.Addr
			ended chan world.Reply
		}
		var handshakes []handshake
		exchanges := map[netip.Addr]func() error{}
		for i, to := range o.to() {
			from := netip.AddrPortFrom([]netip.Addr{cable.Client4, cable.Client6}[i], 30000)
			socket := o.Connected(cable.Client, from, netip.AddrPortFrom(to, box.ServedPort))
			if _, err := socket.Write([]byte("question")); err != nil {
				t.Fatal(err)
			}
			exchanges[to] = func() error { return box.Exchange(socket) }
			h := handshake{to, make(chan world.Reply, 1)}
			go func() { h.ended <- cable.Client.Send(box.NewRequest(world.KindTCP, h.to)) }()
			handshakes = append(handshakes, h)
		}
		// A reply to each of the four.
		box.Eventually(t, box.EventualTimeout, "replies stray", func() bool { return strays.packets(t) >= 4 })
		o.neighbour(cable, cable.MAC, "reachable")
		o.awaitRouter(t, cable.MAC)
		for _, to := range o.to() {
			if err := exchanges[to](); err != nil {
				t.Errorf("the next datagram to %s: %v", to, err)
			}
		}
		for _, h := range handshakes {
			if a := <-h.ended; !a.OK {
				t.Errorf("the handshake with %s: %v", h.to, a)
			}
		}
	})
}

// The error that a router sends about a reply which strays to it moves no connection: what the server sends next leaves by the
// connection's own router, without another packet of the client.
func TestErrorOfAnotherRouterMovesNoConnection(t *testing.T) {
	t.Parallel()
	box.EachFirewall(t, func(t *testing.T, backend string) {
		o := newOffice(t, backend)
		o.Apply()
		cable := o.Routers[1]
		for i, to := range o.to() {
			client, server := netip.AddrPortFrom([]netip.Addr{cable.Client4, cable.Client6}[i], 30000), netip.AddrPortFrom(to, box.ServedPort)
			at := o.Connected(o.Gateway, server, client)
			from := o.Connected(cable.Client, client, server)
			exchange := func(sender, receiver *net.UDPConn, text string) {
				t.Helper()
				if err := receiver.SetReadDeadline(time.Now().Add(box.EventualTimeout)); err != nil {
					t.Fatal(err)
				}
				if _, err := sender.Write([]byte(text)); err != nil {
					t.Fatal(err)
				}
				b := make([]byte, 16)
				if n, err := receiver.Read(b); err != nil || string(b[:n]) != text {
					t.Errorf("%s, %s: %q, %v", to, text, b[:n], err)
				}
			}
			exchange(from, at, "question")
			exchange(at, from, "answer")
			rule := []string{"-4", "rule", "add", "priority", "1", "to", client.Addr().String(), "lookup", "8202"}
			if to.Is6() {
				rule[0] = "-6"
			}
			o.Gateway.Run("ip", rule...)
			if _, err := at.Write([]byte("stray")); err != nil {
				t.Fatal(err)
			}
			box.Eventually(t, box.EventualTimeout, "the other router has sent an error", func() bool {
				name := map[bool]string{true: "IcmpInDestUnreachs", false: "Icmp6InDestUnreachs"}[to.Is4()]
				words := strings.Fields(o.Gateway.Run("nstat", "-a", "-z", "-s", name))
				return len(words) > 2 && words[len(words)-2] != "0"
			})
			rule[2] = "del"
			o.Gateway.Run("ip", rule...)
			exchange(at, from, "next answer")
		}
	})
}
