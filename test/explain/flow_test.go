package explain

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"replypath/test/box"
	"replypath/test/world"
)

// conntrackLine returns a connection of the client's to an address of the box, as a line of conntrack -L.
func conntrackLine(t *testing.T, b *box.Box, to netip.Addr) string {
	t.Helper()
	held, err := b.Client.Connect(box.NewRequest(world.KindTCP, to), 1)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(held.Close)
	line := b.Gateway.Run("conntrack", "-L", "-f", fmt.Sprintf("ipv%d", box.FamilyOf(to)), "-p", "tcp", "--orig-dst", to.String(), "--dport", fmt.Sprint(box.ServedPort))
	return strings.TrimSpace(line)
}

// endpointsOf returns a connection as two ends, the server's first.
func endpointsOf(line string) []string {
	first := map[string]string{}
	for _, word := range strings.Fields(line) {
		if key, value, ok := strings.Cut(word, "="); ok && first[key] == "" {
			first[key] = value
		}
	}
	end := func(address, port string) string {
		var n uint16
		fmt.Sscan(first[port], &n)
		return netip.AddrPortFrom(netip.MustParseAddr(first[address]), n).String()
	}
	return []string{"tcp", end("dst", "dport"), end("src", "sport")}
}

func TestExplainFlowFindsThePastedConnection(t *testing.T) {
	t.Parallel()
	b := box.New(t, world.TwoISPs(t))
	b.Gateway.ServeTCP(box.ServedPort)
	b.Apply()
	for _, to := range b.Uplinks[1].Addrs() {
		line := conntrackLine(t, b, to)
		ss := strings.TrimSpace(b.Gateway.Run("ss", fmt.Sprintf("-%d", box.FamilyOf(to)), "-Htn", "state", "established", "sport", "=", fmt.Sprintf(":%d", box.ServedPort)))
		right := []string{"connection: tcp ", ", ESTABLISHED, expires in ", "mark: 0x200, of uplink isp1", "its replies:",
			"it leaves by eth1 (uplink isp1), selected by its mark 0x200", "right: they leave by the connection's uplink"}
		for _, words := range [][]string{strings.Fields(line), endpointsOf(line), strings.Fields(ss), {ss}} {
			b.Explain(t, 0, append([]string{"--flow"}, words...), right...)
		}
		b.Explain(t, 1, []string{"--flow", "udp", netip.AddrPortFrom(to, 9).String(), netip.AddrPortFrom(to, 8).String()}, "there is no such connection")
	}
	for _, words := range [][]string{{}, {"tcp"}, {"203.0.113.9", "203.0.113.10"}, {"203.0.113.9:1", "[2001:db8::1]:2"}, {"src=x", "dst=y"}} {
		b.Explain(t, 2, append([]string{"--flow"}, words...))
	}
}

func TestExplainFlowReportsStrayRepliesBehindDNAT(t *testing.T) {
	t.Parallel()
	b := box.New(t, world.TwoISPs(t))
	b.LAN.ServeTCP(box.ServedPort)
	b.AddDNAT(b.LAN4, b.LAN6)
	b.Apply()
	for i, to := range b.Uplinks[1].Addrs() {
		inner := []netip.Addr{b.LAN4, b.LAN6}[i]
		flow := append([]string{"--flow"}, strings.Fields(conntrackLine(t, b, to))...)
		b.Explain(t, 0, flow, "NAT: its replies are tcp "+netip.AddrPortFrom(inner, box.ServedPort).String(), " from "+inner.String()+" iif ",
			"it leaves by eth1 (uplink isp1), selected by its mark 0x200", "right: they leave by the connection's uplink")
		b.Gateway.Run("ip", fmt.Sprintf("-%d", box.FamilyOf(to)), "rule", "del", "priority", "2003")
		b.Explain(t, 3, flow, "it leaves by eth0 (uplink isp0), selected by table main", "they STRAY: they leave by isp0 instead of isp1")
		b.Explain(t, 3, slices.Concat(flow, []string{"--json"}), `"strays": true`, `"uplink": "isp1"`, `"link": "eth0"`)
	}
}

func TestExplainFlowRecognizesOutgoingConnections(t *testing.T) {
	t.Parallel()
	b := box.New(t, world.TwoISPs(t))
	b.Client.ServeTCP(box.ServedPort)
	b.Apply()
	for _, u := range b.Uplinks {
		from := u.Addrs()[0]
		held, err := b.Gateway.Connect(world.Request{Kind: world.KindTCP, From: netip.AddrPortFrom(from, 0), To: netip.AddrPortFrom(b.ClientAddr(from), box.ServedPort)}, 1)
		if err != nil {
			t.Fatal(err)
		}
		defer held.Close()
		line := b.Gateway.Run("conntrack", "-L", "-p", "tcp", "--orig-src", from.String())
		b.Explain(t, 0, append([]string{"--flow"}, strings.Fields(line)...), "opened by this host; its packets:",
			fmt.Sprintf("it leaves by %s (uplink isp%d)", u.Link.Name, u.Index))
	}
}

// What has no connection of its own has one in conntrack: datagrams and echoes; and SCTP has.
func TestExplainFlowFindsEveryProtocol(t *testing.T) {
	t.Parallel()
	b := box.New(t, world.TwoISPs(t))
	box.ServeAll(b.Gateway)
	b.Apply()
	for kind, protocol := range map[world.Kind]map[int]string{
		world.KindUDP: {4: "udp", 6: "udp"}, world.KindPing: {4: "icmp", 6: "ipv6-icmp"}, world.KindSCTP: {4: "sctp", 6: "sctp"},
	} {
		for _, u := range b.Uplinks {
			for _, to := range u.Addrs() {
				family := box.FamilyOf(to)
				if a := b.Client.Send(box.NewRequest(kind, to)); !a.OK {
					t.Fatalf("%s to %s: %v", kind, to, a)
				}
				line := b.Gateway.Run("conntrack", "-L", "-f", fmt.Sprintf("ipv%d", family), "-p", map[bool]string{true: "icmpv6", false: protocol[family]}[protocol[family] == "ipv6-icmp"], "--orig-dst", to.String())
				line, _, _ = strings.Cut(line, "\n")
				b.Explain(t, 0, append([]string{"--flow"}, strings.Fields(line)...), "connection: "+protocol[family]+" ", fmt.Sprintf("mark: %#x, of uplink isp%d", (u.Index+1)<<8, u.Index),
					fmt.Sprintf("it leaves by %s (uplink isp%d), selected by its mark", u.Link.Name, u.Index), "right: they leave by the connection's uplink")
			}
		}
	}
}
