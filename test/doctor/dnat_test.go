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
