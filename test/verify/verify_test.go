package verify

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"

	"replypath/test/box"
	"replypath/test/world"
)

func TestVerifySucceedsOnAHealthyHost(t *testing.T) {
	t.Parallel()
	box.EachFirewall(t, func(t *testing.T, backend string) {
		box.EachCondition(t, func(t *testing.T, c box.Conditions) {
			w := c.Build(t, 2, world.Options{SecondAddr: []int{1}})
			w.Gateway.ServeTCP(box.ServedPort)
			b := box.New(t, w, backend)
			b.Apply()
			u := w.Uplinks[1]
			wire := u.Wire.Record(box.RepliesFrom(u.Addr6))
			if a := b.Client.Send(box.NewRequest(world.KindPing, u.Addr6)); !a.OK {
				t.Error(a)
			}
			b.Settle()
			left := len(wire.Packets()) // a busy client may have sent its request again
			v := b.Verify()
			v.WantOK(t, 2)
			if seen := v.Path(u, 6).Seen; seen == nil || left == 0 || seen.Symmetric != left || seen.Stray != 0 {
				t.Errorf("seen %+v, and %d replies left", seen, left)
			}
			if p := v.Path(u, 6); len(p.Questions) != 5 { // echo, closed, datagram, listener, and echo to the second address
				t.Errorf("%d questions: %+v", len(p.Questions), p.Questions)
			}
		})
	})
}

func TestVerifyLeavesNothingBehind(t *testing.T) {
	t.Parallel()
	box.EachFirewall(t, func(t *testing.T, backend string) {
		w := world.TwoISPs(t)
		w.Gateway.ServeTCP(box.ServedPort)
		b := box.New(t, w, backend)
		b.Apply()
		wires := everyWire(b)
		before, traces := box.TakeSnapshot(b.Gateway), kernelTraces(b)
		for range 3 {
			b.Verify().WantOK(t, 2)
		}
		wantNoTraces(t, b, wires, traces)
		before.WantSame(t, "verify", b.Gateway)
	})
}

// sent reports whether a packet on the other end of a wire comes from the gateway. Its reports on multicast groups do not
// count: the kernel makes them whenever a link has come up. Neither does the resolution of neighbours, as for any packet.
func sent(p world.Packet) bool {
	const arp = 0x0806
	ofTheLink := p.Proto == world.ICMPv6 && slices.Contains([]int{135, 136, 143}, p.ICMPType)
	return p.Dir == world.In && p.EtherType != arp && !ofTheLink
}

// uplinkWires records what the gateway sends by its uplinks.
func uplinkWires(b *box.Box) (wires []*world.Recorder) {
	for _, u := range b.Uplinks {
		wires = append(wires, u.Wire.Record(sent))
	}
	return wires
}

// everyWire records what the gateway sends by any link.
func everyWire(b *box.Box) []*world.Recorder {
	return append(uplinkWires(b), b.LAN.Link("eth0").Record(sent))
}

// pinNeighbours makes the neighbours that the hosts around the uplinks know permanent. Otherwise the kernel resolves them again
// some seconds after they were used (arp(7), delay_first_probe_time), which is no packet of verify's.
func pinNeighbours(b *box.Box) {
	hosts := []*world.Host{b.Gateway, b.LAN}
	for _, u := range b.Uplinks {
		hosts = append(hosts, u.ISP)
	}
	for _, h := range hosts {
		for line := range strings.Lines(h.Run("ip", "neigh", "show")) {
			// 192.0.2.2 dev port0 lladdr 02:00:00:00:00:07 REACHABLE
			if f := strings.Fields(line); len(f) > 4 && f[3] == "lladdr" {
				h.Run("ip", "neigh", "replace", f[0], "lladdr", f[4], "dev", f[2], "nud", "permanent")
			}
		}
	}
}

// kernelTraces returns what requests could leave in the kernel: connections, neighbours, half-open sockets, and our counters.
func kernelTraces(b *box.Box) map[string]string {
	all := map[string]string{
		"connections": connections(b.Gateway),
		"neighbours":  neighbours(b),
		"half-open":   b.Gateway.Run("ss", "-Htan", "state", "syn-recv"),
		"sockets":     b.Gateway.Run("ss", "-Huan"),
	}
	if slices.Contains(b.Settings, box.Nftables) {
		all["replies"] = b.Gateway.Run("nft", "list", "counters", "table", "inet", "replypath")
		return all
	}
	for _, family := range []int{4, 6} {
		for i := range b.Uplinks {
			all[fmt.Sprintf("replies of uplink %d in family %d", i, family)] = b.Iptables(family, "-t", "mangle", "-vnxL", fmt.Sprintf("REPLYPATH-S%d", i+1))
		}
	}
	return all
}

// neighbours returns the neighbours that the kernel has resolved, without the gateways of the uplinks.
func neighbours(b *box.Box) string {
	var all []string
	for line := range strings.Lines(b.Gateway.Run("ip", "neigh")) {
		isGateway := slices.ContainsFunc(b.Uplinks, func(u *world.Uplink) bool {
			return strings.HasPrefix(line, u.Router4.String()+" ") || strings.HasPrefix(line, u.RouterLL.String()+" ")
		})
		if !isGateway {
			all = append(all, line)
		}
	}
	slices.Sort(all)
	return strings.Join(all, "")
}

// connections returns those that are tracked, without the seconds that they have left.
func connections(h *world.Host) string {
	all := strings.Split(conntrackTimeouts.ReplaceAllString(h.Run("conntrack", "-L", "-o", "extended"), "$1"), "\n")
	slices.Sort(all)
	return strings.Join(all, "\n")
}

var conntrackTimeouts = regexp.MustCompile(`(?m)^(\S+ +\d+ +\S+ +\d+) +\d+`)

// wantNoTraces wants nothing to have got on a wire, and no trace.
func wantNoTraces(t *testing.T, b *box.Box, wires []*world.Recorder, before map[string]string) {
	t.Helper()
	wantNoTracesExcept(t, b, wires, before, "")
}

func wantNoTracesExcept(t *testing.T, b *box.Box, wires []*world.Recorder, before map[string]string, spared string) {
	t.Helper()
	wantNoPackets(t, b, wires)
	for what, now := range kernelTraces(b) {
		if now != before[what] && what != spared {
			t.Errorf("%s before:\n%s\nnow:\n%s", what, before[what], now)
		}
	}
}

// wantNoPackets wants nothing to have got on a wire.
func wantNoPackets(t *testing.T, b *box.Box, wires []*world.Recorder) {
	t.Helper()
	b.Settle()
	for i, wire := range wires {
		for _, p := range wire.Packets() {
			t.Errorf("wire %d: %s", i, p)
		}
	}
}
