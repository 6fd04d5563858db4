package proof_test

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"replypath/health"
	"replypath/health/proof"
	"replypath/uplinks"
	"replypath/uplinks/uplinkstest"
)

func TestRequestsOfAPath(t *testing.T) {
	any4, any6 := netip.IPv4Unspecified(), netip.IPv6Unspecified()
	listen := func(a netip.Addr, port uint16) uplinks.Listener { return uplinks.Listener{Addr: a, Port: port} }
	for name, c := range map[string]struct {
		target proof.Host
		addrs  []string // of the interface, beside its own
		want   string
	}{
		"no listener":            {want: "echo closed/1 datagram"},
		"listeners":              {target: proof.Host{Listeners: []uplinks.Listener{listen(any4, 8080), listen(any4, 25)}}, want: "echo closed/1 datagram listener/25 listener/8080"},
		"the preferred listener": {target: proof.Host{Listeners: []uplinks.Listener{listen(any4, 22), listen(any4, 443), listen(any4, 1)}}, want: "echo closed/2 datagram listener/443 listener/22 listener/1"},
		"a listener of both families": {target: proof.Host{Listeners: []uplinks.Listener{listen(any6, 9999)}},
			want: "echo closed/1 datagram listener/9999"},
		"a listener of IPv6 only":         {target: proof.Host{Listeners: []uplinks.Listener{{Addr: any6, Port: 80, V6Only: true}}}, want: "echo closed/1 datagram"},
		"a listener on another address":   {target: proof.Host{Listeners: []uplinks.Listener{listen(netip.MustParseAddr("127.0.0.1"), 80)}}, want: "echo closed/1 datagram"},
		"a listener on another interface": {target: proof.Host{Listeners: []uplinks.Listener{{Addr: any4, Port: 80, Link: 2}}}, want: "echo closed/1 datagram"},
		"a listener on the address":       {target: proof.Host{Listeners: []uplinks.Listener{listen(lte.Source, 80)}}, want: "echo closed/1 datagram listener/80"},
		"a second address":                {addrs: []string{"192.0.2.3/24", "fe80::9/64"}, want: "echo closed/1 datagram echo@192.0.2.3"},
		"a service of all uplinks": {target: proof.Host{Services: []health.ProofService{{Proto: "tcp", Port: 443}}}, addrs: []string{"192.0.2.3/24"},
			want: "echo closed/1 datagram echo@192.0.2.3 service/443 service@192.0.2.3/443"},
		"a service of the uplink":  {target: proof.Host{Services: []health.ProofService{{Proto: "udp", Port: 53, Uplink: "lte"}}}, want: "echo closed/1 datagram service/53"},
		"a service of another":     {target: proof.Host{Services: []health.ProofService{{Proto: "udp", Port: 53, Uplink: "fibre"}}}, want: "echo closed/1 datagram"},
		"a service of the address": {target: proof.Host{Services: []health.ProofService{{Proto: "tcp", Port: 80, Addr: lte.Source}}}, want: "echo closed/1 datagram service/80"},
		"a bounded number of listeners": {target: proof.Host{Listeners: []uplinks.Listener{listen(any4, 9), listen(any4, 8), listen(any4, 7), listen(any4, 6), listen(any4, 53)}, Preferred: []uint16{9}},
			want: "echo closed/1 datagram listener/9 listener/53 listener/6 listener/7"},
		"what rules select": {target: proof.Host{Listeners: []uplinks.Listener{listen(any4, 80)}, Selected: []proof.Selected{{Proto: "tcp", Port: 80}, {Proto: "tcp", Port: 81}, {Proto: "udp", Port: 81}}},
			want: "echo closed/1 datagram listener/80 closed/81 datagram/81"},
		"services behind DNAT": {target: proof.Host{Translated: map[health.Key][]proof.TranslatedService{lte.Key: {{Proto: "udp", To: netip.AddrPortFrom(lte.Source, 53)},
			{Proto: "tcp", To: netip.MustParseAddrPort("192.0.2.3:80")}}}}, want: "echo closed/1 datagram service/53 service@192.0.2.3/80"},
		"a service of another address": {target: proof.Host{Services: []health.ProofService{{Proto: "tcp", Port: 80, Addr: netip.MustParseAddr("198.51.100.2")}}},
			want: "echo closed/1 datagram"},
	} {
		c.target.Facts = uplinkstest.Facts()
		for _, a := range c.addrs {
			l := c.target.Facts.Links["eth1"]
			p := netip.MustParsePrefix(a)
			l.Addrs = append(l.Addrs, uplinks.Addr{Prefix: p, LinkLocal: p.Addr().IsLinkLocalUnicast()})
			c.target.Facts.Links["eth1"] = l
		}
		var got []string
		for _, q := range proof.Requests([]health.Path{lte}, c.target, map[health.Key]netip.Addr{lte.Key: peer.Addr()}, 1000) {
			word := string(q.Kind)
			if q.To.Addr() != lte.Source {
				word += "@" + q.To.Addr().String()
			}
			if q.To.Port() != 0 {
				word += fmt.Sprintf("/%d", q.To.Port())
			}
			got = append(got, word)
		}
		if strings.Join(got, " ") != c.want {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
}

func TestPortsDistinguishRequests(t *testing.T) {
	fibre := lte
	fibre.Key, fibre.Link, fibre.Source = health.Key{Uplink: "fibre", Family: uplinks.IPv4}, "eth0", netip.MustParseAddr("198.51.100.2")
	one := map[health.Key]netip.Addr{lte.Key: peer.Addr(), fibre.Key: peer.Addr()}
	seen := map[netip.AddrPort]bool{}
	for _, q := range proof.Requests([]health.Path{fibre, lte}, proof.Host{Facts: uplinkstest.Facts()}, one, 40000) {
		if seen[q.From] || q.From.Port() <= 40000 {
			t.Errorf("%s from %s", q, q.From)
		}
		seen[q.From] = true
	}
	if len(seen) != 6 {
		t.Errorf("%d requests, want 6", len(seen))
	}
}

func TestPeerAddressIsInUseNowhere(t *testing.T) {
	f := uplinkstest.Facts() // which has networks in 198.51.100.0/24, 192.0.2.0/24 and 198.18.0.0/24
	blocks := proof.PeerBlocks(f, uplinks.IPv4)
	if len(blocks) == 0 || blocks[0].String() != "203.0.113.0/24" {
		t.Errorf("%v", blocks)
	}
	f.GatewayRoutes = append(f.GatewayRoutes, uplinks.GatewayRoute{Dst: netip.MustParsePrefix("203.0.113.128/25"), Link: "lan0"})
	if blocks = proof.PeerBlocks(f, uplinks.IPv4); slices.ContainsFunc(blocks, func(p netip.Prefix) bool { return p.Overlaps(f.GatewayRoutes[len(f.GatewayRoutes)-1].Dst) }) {
		t.Errorf("%v", blocks)
	}
	f.Links["tun0"] = uplinks.Link{Name: "tun0", Connected: []uplinks.Connected{{Dst: netip.MustParsePrefix("192.0.0.0/8")}, {Dst: netip.MustParsePrefix("203.0.0.0/8")}, {Dst: netip.MustParsePrefix("198.0.0.0/8")}}}
	if half := proof.PeerBlocks(f, uplinks.IPv4); !slices.Equal(half, blocks) {
		t.Errorf("with large routes of a VPN: %v, want %v", half, blocks)
	}
	f.Links["all"] = uplinks.Link{Name: "all", Connected: []uplinks.Connected{{Dst: netip.MustParsePrefix("203.0.0.0/9")}, {Dst: netip.MustParsePrefix("198.0.0.0/9")}, {Dst: netip.MustParsePrefix("192.0.0.0/9")}}}
	if none := proof.PeerBlocks(f, uplinks.IPv4); none != nil {
		t.Errorf("where all blocks are in use: %v", none)
	}
	last := map[netip.Addr]bool{}
	for i := range uint64(127) {
		for _, b := range []string{"203.0.113.0/24", "2001:db8:7265:706c::/64"} {
			block := netip.MustParsePrefix(b)
			a := proof.PeerAddr(block, i)
			if last[a] || !block.Contains(a) || a == block.Addr() {
				t.Errorf("peer %d is %s", i, a)
			}
			last[a] = true
		}
	}
}

func TestHostsInsideAreAskedAtAPortThatNoRuleSelects(t *testing.T) {
	host := netip.MustParseAddr("198.18.0.2")
	p := health.Path{Key: health.Key{Uplink: "isp1", Family: uplinks.IPv4}, Source: netip.MustParseAddr("192.0.2.2")}
	tcp := func(ports ...uint16) (all []proof.Selected) {
		for _, n := range ports {
			all = append(all, proof.Selected{Proto: "tcp", Port: n})
		}
		return all
	}
	for want, selected := range map[string][]proof.Selected{
		"tcp://198.18.0.2:443 (inside)": {{Proto: "udp", Port: 443}},
		"tcp://198.18.0.2:22 (inside)":  tcp(443, 80),
		"tcp://198.18.0.2:1 (inside)":   tcp(443, 80, 22),
	} {
		h := proof.Host{Inside: map[uplinks.Family][]netip.Addr{uplinks.IPv4: {host}}, Selected: selected}
		var asked []string
		for _, q := range proof.Requests([]health.Path{p}, h, map[health.Key]netip.Addr{p.Key: netip.MustParseAddr("203.0.113.9")}, 1) {
			if q.Kind == proof.Inside {
				asked = append(asked, q.String())
			}
		}
		if !slices.Equal(asked, []string{want, "echo to 198.18.0.2 (inside)"}) {
			t.Errorf("%v: %v, want %s and an echo", selected, asked, want)
		}
	}
}
