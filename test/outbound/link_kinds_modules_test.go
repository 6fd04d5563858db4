//go:build modules

package outbound

import (
	"fmt"
	"testing"
	"time"

	"replypath/test/box"
	"replypath/test/world"
)

// moduleLinks are the links of uplinks that modules make, by the uplink's index. Those and a kernel with TCX are needed: make test-modules
// boots Debian's.
var moduleLinks = map[int]func(*world.Internet, *world.Uplink){
	1: box.AsVLANOnBond, 2: box.AsSecondVLANOnBond, 3: box.AsBridgeOfVLANs, 4: box.AsWireGuard, 5: box.AsPPP,
}

// Links of each kind answer what comes in by them, are proven, are chosen while those before them in the policy fail, and have filters
// at egress: without the rules, nothing leaves with a source from inside.
func TestRecentKernelUplinksOfEachLinkKind(t *testing.T) {
	box.EachFirewall(t, func(t *testing.T, backend string) {
		g := newGatewayIn(t, box.Conditions{RPFilter: 1}.Build(t, 1+len(moduleLinks), world.Options{ReplaceLink: moduleLinks}), backend)
		g.AutoGateway = map[int]bool{4: true, 5: true}
		g.probeServerWith(`interval = "1s"`, `timeout = "3s"`, `retry = "500ms"`, "fall = 2", "rise = 1") // the machine is emulated
		box.ServeAll(g.Gateway)
		g.outbound(balanced(`[["isp1"], ["isp2"], ["isp3"], ["isp4"], ["isp5"], ["isp0"]]`)...)
		s := g.startProbed()
		g.Verify().WantOK(t, len(g.Uplinks))
		for i := range moduleLinks {
			for _, to := range g.Uplinks[i].Addrs() {
				box.WantReplies(t, g.Client, to, world.Kinds)
			}
		}
		for i := 1; i <= len(moduleLinks); i++ {
			g.wantChosen(t, i)
			box.SetBlackHole(g.Uplinks[i], true)
		}
		g.wantChosen(t, 0)
		for i := range moduleLinks {
			box.SetBlackHole(g.Uplinks[i], false)
		}
		g.wantChosen(t, 1)
		g.wantNoForeign(t)
		s.Kill()
		g.flushAll(backend)
		for i := range moduleLinks {
			g.sendUntranslated(t, i)
		}
		g.wantNoForeign(t)
		g.detachFilters(t)
		for i, u := range g.Uplinks[1:] {
			g.sendUntranslated(t, 1+i)
			g.Settle()
			for _, to := range g.servers() {
				if g.refused[1+i].Count(func(p world.Packet) bool { return p.To(to) && !u.Has(p.Src) }) == 0 {
					t.Errorf("without the filter of %s nothing leaves by it to %s either", u.Link.Name, to)
				}
			}
		}
	})
}

// wantChosen waits until new connections take the uplink, and wants a reply to each.
func (g *gateway) wantChosen(t *testing.T, uplink int) {
	t.Helper()
	g.awaitUplink(t, g.LAN, uplink)
	for _, to := range g.servers() {
		for _, kind := range []world.Kind{world.KindTCP, world.KindUDP} {
			if share := g.send(t, g.LAN, kind, to, 2); share[uplink] != 2 {
				t.Errorf("%s to %s: %v by each uplink, want 2 by %s", kind, to, share, g.Uplinks[uplink].Link.Name)
			}
		}
	}
}

// sendUntranslated sends from inside by the table of the uplink, while nothing translates the source. Nothing is answered.
func (g *gateway) sendUntranslated(t *testing.T, uplink int) {
	t.Helper()
	rule := func(do string) {
		for _, family := range []string{"-4", "-6"} {
			g.Gateway.Run("ip", family, "rule", do, "pref", "1", "iif", "lan0", "lookup", fmt.Sprint(8201+uplink))
		}
	}
	rule("add")
	defer rule("del")
	for _, to := range g.servers() {
		q := box.NewRequest(world.KindUDP, to)
		q.ExpectTimeout, q.Timeout = true, 300*time.Millisecond
		if a := g.LAN.Send(q); a.OK {
			t.Errorf("%s answers by %s without translation", to, g.Uplinks[uplink].Link.Name)
		}
	}
}
