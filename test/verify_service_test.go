package test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"replypath/test/world"
)

// lanServices are questions for what the LAN host serves behind DNAT.
const lanServices = `prove = ["tcp://:7000", "udp://:7000"]`

func TestVerifyCoversServicesBehindDNAT(t *testing.T) {
	t.Parallel()
	eachBackend(t, func(t *testing.T, backend string) {
		w := conditions{rpFilter: 1}.build(t, 2, world.Options{})
		serveAll(w.LAN)
		b := newBox(t, w, backend, lanServices)
		b.forward(b.LAN4, b.LAN6)
		b.apply()
		b.Client.Send(newRequest(world.KindPing, w.Uplinks[1].Addr4)) // the LAN host knows the gateway, and the other way round
		b.Client.Send(newRequest(world.KindPing, w.Uplinks[1].Addr6))
		wires, traces := b.uplinkWires(), b.kernelTraces()
		v := b.verify()
		v.wantOK(t, 2)
		for _, p := range v.Paths {
			if n := len(slices.DeleteFunc(slices.Clone(p.Questions), func(q verifyPacket) bool { return q.Kind != "service" })); n != 2 {
				t.Errorf("%s %s: %d services: %+v", p.Uplink, p.Family, n, p.Questions)
			}
		}
		b.wantNoTracesExcept(t, wires, traces, "neighbours")
		if half := b.LAN.Run("ss", "-Htan", "state", "syn-recv"); half != "" {
			t.Errorf("half-open on the LAN host: %s", half)
		}

		b.iptables(4, "-t", "mangle", "-D", "REPLYPATH-PRE", "2")
		b.Gateway.SetSysctl("net.ipv4.conf.all.rp_filter", "0")
		p := b.verify().path(w.Uplinks[1], 4)
		if p.Shown.short() != "no mark-not-restored" {
			t.Errorf("without the restore in PREROUTING: %s", p.Shown)
		}
	})
}

func TestVerifyReportsRPFilterDropsOfForwardedPackets(t *testing.T) {
	t.Parallel()
	w := conditions{rpFilter: 1}.build(t, 2, world.Options{})
	serveAll(w.LAN)
	b := newBox(t, w, lanServices)
	b.forward(b.LAN4, b.LAN6)
	b.apply()
	b.Gateway.SetSysctl("net.ipv4.conf.eth1.src_valid_mark", "0")
	v := b.verify()
	if p := v.path(w.Uplinks[1], 4); p.Asked.short() != "no source-check" || p.Shown.short() != "no source-check" {
		t.Errorf("asked %s, shown %s", p.Asked, p.Shown)
	}
	v.path(w.Uplinks[0], 4).wantOK(t)
	v.path(w.Uplinks[1], 6).wantOK(t)
}

func TestVerifyReportsWildcardUDPServers(t *testing.T) {
	t.Parallel()
	w := world.TwoISPs(t)
	w.Gateway.ServeUDP(servedPort, world.Wildcard)
	w.Gateway.ServeUDP(closedPort, world.Pktinfo)
	b := newBox(t, w, fmt.Sprintf(`prove = ["udp://:%d", "udp://:%d"]`, servedPort, closedPort))
	b.apply()
	wires, traces := b.everyWire(), b.kernelTraces()
	v := b.verify()
	b.wantNoTraces(t, wires, traces)
	for _, family := range []int{4, 6} {
		v.path(w.Uplinks[0], family).wantOK(t) // main's default is right by chance
		p := v.path(w.Uplinks[1], family)
		if p.Shown.short() != "no wildcard-udp" || !strings.Contains(p.Shown.Why, w.Uplinks[0].Addrs()[family/6].String()) {
			t.Errorf("IPv%d: %s", family, p.Shown)
		}
		for _, q := range p.Questions {
			if strings.HasSuffix(q.To, fmt.Sprint(closedPort)) && q.Result != "yes" {
				t.Errorf("a server with PKTINFO: %+v", q)
			}
		}
	}
}

func TestVerifyAcceptsHostUnreachableForAMissingHost(t *testing.T) {
	t.Parallel()
	w := world.TwoISPs(t)
	b := newBox(t, w, `prove = ["tcp://:7000"]`)
	for _, u := range w.Uplinks {
		b.iptables(4, "-t", "nat", "-A", "PREROUTING", "-d", u.Addr4.String(), "-p", "tcp", "--dport", "7000", "-j", "DNAT", "--to", "198.18.0.99")
	}
	b.apply()
	wires := b.uplinkWires()
	v := b.verify()
	for _, u := range w.Uplinks {
		p := v.path(u, 4)
		if q := p.question("service"); p.Shown.short() != "yes" || q.Left != u.Link.Name || q.Result != "yes" {
			t.Errorf("the kernel's own answer that nobody is there: shown %s, service %+v", p.Shown, q)
		}
	}
	// What the kernel says of the neighbour comes three seconds after the question.
	time.Sleep(100 * time.Millisecond)
	b.wantNoPackets(t, wires)
}

func TestVerifyUsesTheConfiguredSource(t *testing.T) {
	t.Parallel()
	w := world.TwoISPs(t)
	w.Gateway.ServeTCP(servedPort)
	b := newBox(t, w)
	b.apply()
	b.settings = []string{"[proof]", `source = ["203.0.113.77", "2001:db8:ffff::77"]`}
	b.configure(w.Uplinks...)
	for family, tool := range map[int]string{4: "203.0.113.77", 6: "2001:db8:ffff::77"} {
		b.iptables(family, "-A", "INPUT", "-s", tool, "-j", "ACCEPT")
		b.iptables(family, "-P", "INPUT", "DROP")
	}
	wires, traces := b.everyWire(), b.kernelTraces()
	v := b.verify()
	v.wantOK(t, 2)
	b.wantNoTraces(t, wires, traces)
	for _, p := range v.Paths {
		for _, q := range p.Questions {
			if !strings.Contains(q.From, "203.0.113.77:") && !strings.Contains(q.From, "[2001:db8:ffff::77]:") {
				t.Errorf("asked from %s", q.From)
			}
		}
	}
}
