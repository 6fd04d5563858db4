package pair

import (
	"strings"
	"testing"
)

// While VRRP is lost between the nodes, both are in charge, and a host inside sends to one of them. The proof of the other one must not
// make it send packets of connections that the first one does not know.
func TestProofsWhileBothNodesAreInChargeCauseNoStrays(t *testing.T) {
	n := newNetwork(t)
	n.serveEcho(t)
	n.startPair(t)
	flows := n.startFlows(t)
	wantAlive(t, "the start", flows)
	dropVRRP(n, true)(nil)
	n.nodes[1].await(t, true)
	for i, g := range n.nodes {
		mac := strings.Fields(n.nodes[1-i].host.Run("ip", "-br", "link", "show", "lan0"))[2]
		shell(n.server, "ip neigh replace 198.18.0.1 lladdr "+mac+" dev eth0 nud permanent", "ip neigh replace 2001:db8:f::1 lladdr "+mac+" dev eth0 nud permanent")
		if out, status := g.replypath("verify"); status != 0 {
			t.Errorf("%s: exit %d: %s", g.host.Name, status, out)
		}
		n.w.Settle()
		if strays := n.strays(); strays > 0 {
			t.Errorf("%s: %d packets strayed", g.host.Name, strays)
		}
	}
	wantAlive(t, "the proofs", flows)
}
