package uplinks_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"replypath/marks"
	"replypath/uplinks"
	"replypath/uplinks/uplinkstest"
)

// routerFacts returns facts with different routers on eth1: learnt ones, and some that were found.
func routerFacts(b marks.Backend) (all []uplinks.Facts) {
	f := uplinkstest.Facts()
	l := f.Links["eth1"]
	l.MAC = "\x02\x00\x00\x00\x0a\x01"
	f.Links["eth1"] = l
	for family := range f.Firewalls {
		f.Firewalls[family] = uplinks.FirewallKey{Family: family, Backend: b, Command: "command"}
	}
	mac := func(n int) string { return fmt.Sprintf("02:00:00:00:0d:%02x", n) }
	for _, cable := range [][]string{nil, {mac(1)}, {mac(1), mac(2)}} {
		for found := range 4 {
			f.RouterMACs = map[string][]string{"dsl": {mac(0)}, "cable": cable}
			f.FoundRouters = nil
			for n := range found {
				f.FoundRouters = append(f.FoundRouters, uplinks.FoundRouter{Uplink: "dsl", MAC: mac(2 + n), ID: marks.ID(31 - n)})
			}
			all = append(all, f)
		}
	}
	return all
}

// inUse returns the names of found routers that are none of an uplink.
func inUse(s uplinks.Settings, f uplinks.Facts) (names map[string]bool) {
	names = map[string]bool{}
	for _, u := range s.WithFoundRouters(f).Uplinks {
		names[u.Name] = true
	}
	return names
}

// flushing returns the plan that flushes each chain that it changes.
func flushing(p uplinks.Plan) uplinks.Plan {
	for _, s := range p {
		if load, is := s.(uplinks.LoadChains); is {
			for i := range load.Change.Chains {
				load.Change.Chains[i].Added = 0
			}
		}
	}
	return p
}

// A hardware address more is one rule more of iptables.
func TestRouterPlanInsertsOneRule(t *testing.T) {
	s, all := sharedSettings(), routerFacts(marks.NFT)
	before, now := all[4], all[8] // cable has another hardware address beside the one before
	var rules []string
	for line := range strings.Lines(uplinks.RouterPlan(s, before, now).String()) {
		counts := strings.HasPrefix(line, "nft 'add table inet replypath-routers;") // what the address sends
		classifies := strings.HasPrefix(line, "# a BPF program ")
		if !counts && !classifies {
			rules = append(rules, line)
		}
	}
	if want := "command -w -t mangle -I REPLYPATH-R2 6 -m mac --mac-source 02:00:00:00:0d:02 -m conntrack ! --ctstate RELATED -g REPLYPATH-IN3\n"; !slices.Equal(rules, []string{want}) {
		t.Errorf("got\n%swant\n%s", rules, want)
	}
}

// Of all objects only those of replies, and the table that counts them, depend on routers.
func TestRouterPlanIsTheDifferenceOfBothStates(t *testing.T) {
	for _, b := range []marks.Backend{marks.Legacy, marks.NFT, marks.Nftables} {
		s := sharedSettings()
		s.Uplinks[1].AnyRouter = true
		followed, left := 0, 0
		for _, before := range routerFacts(b) {
			for _, now := range routerFacts(b) {
				got, want := uplinks.RouterPlan(s, before, now), uplinks.Diff(uplinks.Desired(s, now, nil), uplinks.Desired(s, before, nil))
				after := inUse(s, now)
				gone := false
				for name := range inUse(s, before) {
					gone = gone || !after[name]
				}
				switch {
				case gone && len(got) > 0:
					t.Fatalf("%s: a found router is none any more, and there are the steps\n%s", b, got)
				case gone:
					left++
				case flushing(got).String() != want.String():
					t.Fatalf("%s: %s\ninstead of\n%s", b, got, want)
				case len(got) > 0:
					followed++
				}
			}
		}
		if followed == 0 || left == 0 {
			t.Errorf("%s: %d changes are followed, %d are not", b, followed, left)
		}
	}
}

// Many routers need to know whether the firewall can divide them.
func TestRouterPlanIsEmptyForManyRoutersAtFirst(t *testing.T) {
	s, before := sharedSettings(), routerFacts(marks.Legacy)[0]
	s.Uplinks[1].AnyRouter = true
	now := before
	for n := range marks.MaxLinear + 1 {
		now.FoundRouters = append(now.FoundRouters, uplinks.FoundRouter{Uplink: "dsl", MAC: fmt.Sprintf("02:00:00:00:0e:%02x", n), ID: marks.ID(31 - n)})
	}
	if p := uplinks.RouterPlan(s, before, now); len(p) > 0 {
		t.Errorf("%d steps", len(p))
	}
	now.MACBits = map[uplinks.Family]bool{}
	before.MACBits = now.MACBits
	if p := uplinks.RouterPlan(s, before, now); len(p) == 0 {
		t.Error("no step")
	}
}
