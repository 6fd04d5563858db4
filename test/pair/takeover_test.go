package pair

import (
	"encoding/json"
	"os"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"replypath/test/box"
	"replypath/test/world"
)

// wantAlive wants every conversation to go on, and returns the longest gap since the last call.
func wantAlive(t *testing.T, what string, flows []*flow) (longest time.Duration) {
	t.Helper()
	for _, f := range flows {
		before, _ := f.state()
		box.Eventually(t, box.EventualTimeout, f.name+" goes on after "+what, func() bool {
			answers, ended := f.state()
			if ended != nil {
				t.Fatalf("%s: %s is over: %v", what, f.name, ended)
			}
			return answers > before+5
		})
		longest = max(longest, f.takeGap())
	}
	return longest
}

// rounds returns the number of take-overs of each kind: REPLYPATH_PAIR, or 1.
func rounds(t *testing.T) int {
	t.Helper()
	if text := os.Getenv("REPLYPATH_PAIR"); text != "" {
		n, err := strconv.Atoi(text)
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	return 1
}

// takeOver fails the first node, waits until the second one is in charge, mends the first one, and waits until it is in charge again.
func (n *network) takeOver(t *testing.T, what string, flows []*flow, fail, mend func(first *node)) {
	t.Helper()
	first, second := n.nodes[0], n.nodes[1]
	before := n.strays()
	fail(first)
	detected := second.await(t, true)
	over := wantAlive(t, what, flows)
	mend(first)
	first.await(t, true)
	second.await(t, false)
	back := wantAlive(t, "the return after "+what, flows)
	t.Logf("%s: longest gap %v, the VIPs moved after %v (keepalived), on return %v", what, over.Round(time.Millisecond), detected.Round(time.Millisecond), back.Round(time.Millisecond))
	if strays := n.strays() - before; strays > 0 {
		t.Errorf("%s: %d packets strayed", what, strays)
	}
}

func TestConnectionsLiveThroughTakeOvers(t *testing.T) {
	n := newNetwork(t)
	n.serveEcho(t)
	n.startPair(t)
	flows := n.startFlows(t)
	wantAlive(t, "the start", flows)
	signal := func(s syscall.Signal) func(*node) {
		return func(g *node) {
			if err := g.keepalived.Process.Signal(s); err != nil {
				t.Fatal(err)
			}
			_ = g.keepalived.Wait()
			g.awaitVRRPEnded(t)
		}
	}
	restart := func(g *node) { g.startKeepalived(t) }
	for range rounds(t) {
		n.takeOver(t, "keepalived ended", flows, signal(syscall.SIGTERM), restart)
		n.takeOver(t, "keepalived killed", flows, signal(syscall.SIGKILL), restart)
		n.takeOver(t, "the LAN's carrier lost", flows, carrier("down", n.lan), carrier("up", n.lan))
		n.takeOver(t, "the node cut off", flows, carrier("down", n.lan, n.isps[0], n.isps[1]), carrier("up", n.lan, n.isps[0], n.isps[1]))
		n.takeOver(t, "VRRP lost between the nodes", flows, dropVRRP(n, true), dropVRRP(n, false))
	}
	for _, g := range n.nodes {
		if out, status := g.replypath("check", "--peer", peerURL(g)); status != 0 || !strings.Contains(out, "agrees") {
			t.Errorf("%s: exit %d: %s", g.host.Name, status, out)
		}
	}
}

// With use_vmac the VIP of the LAN is on a link of its own, vrrp.51, whose hardware address moves with it.
func TestConnectionsLiveThroughTakeOversOfAVirtualMAC(t *testing.T) {
	n := newNetwork(t)
	for _, g := range n.nodes {
		g.install("keepalived.conf", "keepalived", 0o644, "/usr/bin/replypath", program, "advert_int 0.5", "advert_int 0.5\n    use_vmac vrrp.51\n    vmac_xmit_base",
			"198.18.0.1/24 dev lan0", "198.18.0.1/24", "2001:db8:f::1/64 dev lan0", "2001:db8:f::1/64")
		g.install("notify.sh", "keepalived", 0o755, `iifname "lan0"`, `iifname "vrrp.51"`)
	}
	n.serveEcho(t)
	n.startPair(t)
	flows := n.startFlows(t)
	wantAlive(t, "the start", flows)
	n.takeOver(t, "the node cut off", flows, carrier("down", n.lan, n.isps[0], n.isps[1]), carrier("up", n.lan, n.isps[0], n.isps[1]))
}

// carrier sets the switches' ends of the node's links.
func carrier(state string, switches ...*world.Host) func(*node) {
	return func(g *node) {
		for _, h := range switches {
			shell(h, "ip link set "+g.host.Name+" "+state)
		}
	}
}

// dropVRRP makes both nodes deaf for each other's advertisements, or no longer: while they are, both are in charge.
func dropVRRP(n *network, drop bool) func(*node) {
	return func(*node) {
		for _, g := range n.nodes {
			if drop {
				shell(g.host, "nft -f - <<EOF\ntable inet deaf {\nchain input {\ntype filter hook input priority 0; meta l4proto 112 drop;\n}\n}\nEOF")
			} else {
				shell(g.host, "nft delete table inet deaf")
			}
		}
	}
}

// peerURL returns the URL of the other node's endpoint.
func peerURL(g *node) string {
	return map[int]string{1: "http://198.19.0.2:9717", 2: "http://198.19.0.1:9717"}[g.number]
}

// An uplink that loses its provider, not its carrier: replypath finds it, track_script tells keepalived, and the other node takes
// over.
func TestNodeWhoseUplinkFailsHandsOver(t *testing.T) {
	n := newNetwork(t)
	n.serveEcho(t)
	n.startPair(t)
	flows := n.startFlows(t)
	wantAlive(t, "the start", flows)
	out, _ := n.nodes[0].replypath("check", "--json")
	var report struct {
		Uplinks []struct {
			Down map[string]float64 `json:"down_after_seconds"`
		}
	}
	out = out[max(0, strings.Index(out, "{")):]
	if err := json.Unmarshal([]byte(out), &report); err != nil || len(report.Uplinks) == 0 || report.Uplinks[0].Down["ipv4"] == 0 {
		t.Fatalf("%v: %s", err, out)
	}
	// The interval of track_script, then at most three advertisements, and a skew below one.
	computed := time.Duration(report.Uplinks[0].Down["ipv4"]*float64(time.Second)) + time.Second + 4*500*time.Millisecond
	var took time.Duration
	n.takeOver(t, "an uplink failed", flows, func(*node) {
		began := time.Now()
		shell(n.isps[1], "ip link set node1 nomaster")
		n.nodes[1].await(t, true)
		took = time.Since(began)
	}, func(*node) { shell(n.isps[1], "ip link set node1 master br0") })
	t.Logf("handed over after %v, computed: at most %v", took.Round(time.Millisecond), computed)
	if most := computed + slack; took > most {
		t.Errorf("handed over after %v, computed: at most %v", took, computed)
	}
}

// slack is what a busy machine may add to computed times.
const slack = 10 * time.Second
