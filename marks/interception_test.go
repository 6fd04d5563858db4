package marks_test

import (
	"slices"
	"testing"

	"replypath/marks"
)

// A packet of an established connection that is not intercepted meets one rule, and a packet that the host sends one comparison.
func TestPacketThatIsNotInterceptedMeetsOneRule(t *testing.T) {
	const bit = marks.Mask(0x10)
	for _, n := range []struct {
		backend marks.Backend
		ipv6    bool
	}{{marks.NFT, false}, {marks.NFT, true}, {marks.Nftables, false}, {marks.Nftables, true}} {
		for _, c := range marks.InterceptLayout(n.backend, bit, n.ipv6, []marks.Intercept{{Name: "web", In: []marks.InterceptedLink{{Name: "lan0"}}}}) {
			want := marks.Rule{Ctmark: marks.MarkMatch{Mask: bit}, Packet: marks.PacketMatch{NotState: true, State: "NEW"}, Action: marks.Action{Kind: marks.Return}}
			if c.Name == marks.Proxied && c.Rules[0] != want {
				t.Errorf("%v: the first rule of %s is %s, want %s", n, c.Name, c.Rules[0], want)
			}
		}
	}
	pre, out := marks.InterceptJumps()
	if want := (marks.Rule{Action: marks.Action{Kind: marks.Jump, Chain: marks.Proxied}}); pre != want {
		t.Errorf("the jump of PREROUTING is %s, want %s", pre, want)
	}
	if want := (marks.PacketMatch{State: "NEW"}); out.Packet != want {
		t.Errorf("the jump of OUTPUT is %s", out)
	}
}

// iptables takes 15 ports in one match, of which a range counts as two, and nftables one range.
func TestPortsOfAnInterceptAreDividedAmongMatches(t *testing.T) {
	ports := []marks.PortRange{{First: 1, Last: 9}}
	for p := uint16(20); p < 33; p++ {
		ports = append(ports, marks.PortRange{First: p, Last: p})
	}
	full := slices.Concat(ports, []marks.PortRange{{First: 53, Last: 53}, {First: 40, Last: 49}})
	const first = "-p tcp -m multiport --dports 1:9,20,21,22,23,24,25,26,27,28,29,30,31,32"
	for name, c := range map[string]struct {
		backend marks.Backend
		ports   []marks.PortRange
		want    []string
	}{
		"none":     {marks.NFT, nil, []string{"-p tcp"}},
		"15":       {marks.NFT, ports, []string{first}},
		"more":     {marks.Legacy, full, []string{first, "-p tcp -m multiport --dports 53,40:49"}},
		"nftables": {marks.Nftables, full[13:], []string{"-p tcp -m multiport --dports 32", "-p tcp -m multiport --dports 53", "-p tcp -m multiport --dports 40:49"}},
	} {
		var got []string
		for _, chain := range marks.InterceptLayout(c.backend, 0x10, false, []marks.Intercept{{Name: "web", In: []marks.InterceptedLink{{Name: "lan0"}}, Ports: c.ports,
			Services: []marks.InterceptedService{{Proto: "tcp"}}}}) {
			for _, r := range chain.Rules {
				if r.In == "lan0" {
					got = append(got, marks.Rule{Packet: r.Packet}.String())
					if again, err := marks.ParseRule(r.String()); err != nil || again != r {
						t.Errorf("%s: %s is read as %s: %v", name, r, again, err)
					}
				}
			}
		}
		if !slices.Equal(got, c.want) {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
	for _, ports := range []string{"", "http", "080", "9:1", "1:", "1-2", "70000", "1,,2"} {
		if r, err := marks.ParseRule("-p tcp -m multiport --dports " + ports + " -j RETURN"); err == nil {
			t.Errorf("ports %q are read as %s", ports, r)
		}
	}
}
