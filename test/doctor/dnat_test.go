package doctor

import (
	"strings"
	"testing"

	"replypath/test/box"
	"replypath/test/world"
)

// A port that DNAT takes away before the socket sees it, as docker-proxy's, is no server's. Where one uplink's requests are
// not taken away it still is.
func TestDoctorAndExplainSeeThatDNATTakesAPortAway(t *testing.T) {
	t.Parallel()
	b := box.New(t, world.TwoISPs(t))
	b.Apply()
	serveUDPAs(b, "docker-proxy", "0.0.0.0:5306")
	b.WantFinding(b.RunDoctor(), box.IsWarning, "udp-server", "docker-proxy on UDP port 5306")
	b.Must(3, "explain", "--listen", ":5306/udp")
	b.Gateway.Run("sh", "-ec", "iptables -t nat -N DOCKER; iptables -t nat -A PREROUTING -m addrtype --dst-type LOCAL -j DOCKER; iptables -t nat -A DOCKER -i eth0 -p udp --dport 5306 -j DNAT --to-destination 198.18.0.2:53")
	b.WantFinding(b.RunDoctor(), box.IsWarning, "udp-server", "docker-proxy on UDP port 5306")
	b.Must(3, "explain", "--listen", ":5306/udp")
	b.Gateway.Run("sh", "-ec", "iptables -t nat -F DOCKER; iptables -t nat -A DOCKER ! -i docker0 -p udp --dport 5306 -j DNAT --to-destination 198.18.0.2:53")
	if found := b.RunDoctor().Of("udp-server"); len(found) > 0 {
		t.Errorf("DNAT takes its requests away: %+v", found)
	}
	if r := b.Must(0, "explain", "--listen", ":5306/udp"); strings.Contains(r.Stdout, "WRONG") {
		t.Errorf("DNAT takes its requests away: %s", r.Stdout)
	}
}

// The rule may be one of nft(8), with sets and ranges. A translation to the port of the host itself takes nothing away.
func TestDoctorAndExplainFollowNativeDNAT(t *testing.T) {
	t.Parallel()
	b := box.New(t, world.TwoISPs(t))
	b.Apply()
	serveUDPAs(b, "docker-proxy", "[::]:5306")
	dnat := func(four, six string) {
		b.Gateway.Run("nft", "table inet t { chain p { type nat hook prerouting priority dstnat; iifname != \"lan0\" udp dport { 53, 5300-5310 } jump d; }; chain d { "+four+"; "+six+"; }; }")
	}
	for name, c := range map[string]struct {
		four, six string
		taken     bool
	}{
		"to a host inside":            {"dnat ip to 198.18.0.2", "dnat ip6 to 2001:db8:f::2", true},
		"of one family":               {"dnat ip to 198.18.0.2", "counter", false},
		"to an address of the host":   {"meta l4proto udp dnat ip to 198.18.0.1:5306", "meta l4proto udp dnat ip6 to [2001:db8:f::1]:5306", false},
		"to another port of the host": {"meta l4proto udp dnat ip to 198.18.0.1:5307", "meta l4proto udp dnat ip6 to [2001:db8:f::1]:5307", true},
	} {
		dnat(c.four, c.six)
		if found := b.RunDoctor().Of("udp-server"); len(found) == 0 != c.taken {
			t.Errorf("%s: %+v", name, found)
		}
		status := map[bool]int{true: 0, false: 3}[c.taken]
		if r := b.Must(status, "explain", "--listen", ":5306/udp"); strings.Contains(r.Stdout, "WRONG") == c.taken {
			t.Errorf("%s: %s", name, r.Stdout)
		}
		b.Gateway.Run("nft", "delete table inet t")
	}
}
