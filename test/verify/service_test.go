package verify

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"replypath/test/box"
	"replypath/test/world"
)

// lanServices are requests for what the LAN host serves behind DNAT.
const lanServices = `prove = ["tcp://:7000", "udp://:7000"]`

func TestVerifyCoversServicesBehindDNAT(t *testing.T) {
	t.Parallel()
	box.EachFirewall(t, func(t *testing.T, backend string) {
		w := box.Conditions{RPFilter: 1}.Build(t, 2, world.Options{})
		box.ServeAll(w.LAN)
		b := box.New(t, w, backend, lanServices)
		b.AddDNAT(b.LAN4, b.LAN6)
		b.Apply()
		b.Client.Send(box.NewRequest(world.KindPing, w.Uplinks[1].Addr4)) // the LAN host knows the gateway, and the other way round
		b.Client.Send(box.NewRequest(world.KindPing, w.Uplinks[1].Addr6))
		pinNeighbours(b)
		wires, traces := uplinkWires(b), kernelTraces(b)
		v := b.Verify()
		v.WantOK(t, 2)
		for _, p := range v.Paths {
			if n := len(slices.DeleteFunc(slices.Clone(p.Questions), func(q box.VerifyPacket) bool { return q.Kind != "service" })); n != 2 {
				t.Errorf("%s %s: %d services: %+v", p.Uplink, p.Family, n, p.Questions)
			}
		}
		wantNoTracesExcept(t, b, wires, traces, "neighbours")
		if half := b.LAN.Run("ss", "-Htan", "state", "syn-recv"); half != "" {
			t.Errorf("half-open on the LAN host: %s", half)
		}

		b.HarmChains(4, "flush chain TABLE FAM-in2; add rule TABLE FAM-in2 ct mark set ct mark & 0xffffe0ff | 0x200; "+
			"flush chain TABLE FAM-pre; add rule TABLE FAM-pre iifgroup 8200 ct direction original iifname vmap @FAM-in-map", "-D REPLYPATH-PRE 2")
		b.Gateway.SetSysctl("net.ipv4.conf.all.rp_filter", "0")
		p := b.Verify().Path(w.Uplinks[1], 4)
		if p.Shown.Short() != "no mark-not-restored" {
			t.Errorf("without the restore in PREROUTING: %s", p.Shown)
		}
	})
}

func TestVerifyReportsRPFilterDropsOfForwardedPackets(t *testing.T) {
	t.Parallel()
	w := box.Conditions{RPFilter: 1}.Build(t, 2, world.Options{})
	box.ServeAll(w.LAN)
	b := box.New(t, w, lanServices)
	b.AddDNAT(b.LAN4, b.LAN6)
	b.Apply()
	b.Gateway.SetSysctl("net.ipv4.conf.eth1.src_valid_mark", "0")
	v := b.Verify()
	if p := v.Path(w.Uplinks[1], 4); p.Asked.Short() != "no source-check" || p.Shown.Short() != "no source-check" {
		t.Errorf("asked %s, shown %s", p.Asked, p.Shown)
	}
	v.Path(w.Uplinks[0], 4).WantOK(t)
	v.Path(w.Uplinks[1], 6).WantOK(t)
}

func TestVerifyReportsWildcardUDPServers(t *testing.T) {
	t.Parallel()
	w := world.TwoISPs(t)
	w.Gateway.ServeUDP(box.ServedPort, world.Wildcard)
	w.Gateway.ServeUDP(box.ClosedPort, world.Pktinfo)
	b := box.New(t, w, fmt.Sprintf(`prove = ["udp://:%d", "udp://:%d"]`, box.ServedPort, box.ClosedPort))
	b.Apply()
	wires, traces := everyWire(b), kernelTraces(b)
	v := b.Verify()
	wantNoTraces(t, b, wires, traces)
	for _, family := range []int{4, 6} {
		v.Path(w.Uplinks[0], family).WantOK(t) // main's default is right by chance
		p := v.Path(w.Uplinks[1], family)
		if p.Shown.Short() != "no wildcard-udp" || !strings.Contains(p.Shown.Why, w.Uplinks[0].Addrs()[family/6].String()) {
			t.Errorf("IPv%d: %s", family, p.Shown)
		}
		for _, q := range p.Questions {
			if strings.HasSuffix(q.To, fmt.Sprint(box.ClosedPort)) && q.Result != "yes" {
				t.Errorf("a server with PKTINFO: %+v", q)
			}
		}
	}
}

func TestVerifyAcceptsHostUnreachableForAMissingHost(t *testing.T) {
	t.Parallel()
	w := world.TwoISPs(t)
	b := box.New(t, w, `prove = ["tcp://:7000"]`)
	for _, u := range w.Uplinks {
		b.Iptables(4, "-t", "nat", "-A", "PREROUTING", "-d", u.Addr4.String(), "-p", "tcp", "--dport", "7000", "-j", "DNAT", "--to", "198.18.0.99")
	}
	b.Apply()
	wires := uplinkWires(b)
	v := b.Verify()
	for _, u := range w.Uplinks {
		p := v.Path(u, 4)
		if q := p.Question("service"); p.Shown.Short() != "yes" || q.Left != u.Link.Name || q.Result != "yes" {
			t.Errorf("the kernel's own host unreachable: shown %s, service %+v", p.Shown, q)
		}
	}
	// The kernel gives up on the neighbour three seconds after the request, and then sends its ICMP errors.
	box.Eventually(t, box.EventualTimeout, "the neighbour is unreachable", func() bool {
		neighbour := b.Gateway.Run("ip", "neigh", "show", "to", "198.18.0.99")
		return neighbour == "" || strings.Contains(neighbour, "FAILED")
	})
	wantNoPackets(t, b, wires)
}

func TestVerifyUsesTheConfiguredSource(t *testing.T) {
	t.Parallel()
	w := world.TwoISPs(t)
	w.Gateway.ServeTCP(box.ServedPort)
	b := box.New(t, w)
	b.Apply()
	b.Settings = []string{"[proof]", `source = ["203.0.113.77", "2001:db8:ffff::77"]`}
	b.Configure(w.Uplinks...)
	for family, tool := range map[int]string{4: "203.0.113.77", 6: "2001:db8:ffff::77"} {
		b.Iptables(family, "-A", "INPUT", "-s", tool, "-j", "ACCEPT")
		if family == 6 {
			b.Iptables(family, "-A", "INPUT", "-p", "ipv6-icmp", "--icmpv6-type", "neighbour-advertisement", "-j", "ACCEPT") // of the gateways
		}
		b.Iptables(family, "-P", "INPUT", "DROP")
	}
	wires, traces := everyWire(b), kernelTraces(b)
	v := b.Verify()
	v.WantOK(t, 2)
	wantNoTraces(t, b, wires, traces)
	for _, p := range v.Paths {
		for _, q := range p.Questions {
			if !strings.Contains(q.From, "203.0.113.77:") && !strings.Contains(q.From, "[2001:db8:ffff::77]:") {
				t.Errorf("the source is %s", q.From)
			}
		}
	}
}
