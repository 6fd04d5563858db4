package prover

import (
	"context"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"

	"replypath/cmd/internal/host"
	"replypath/health/proof"
	"replypath/marks"
	"replypath/marks/dnat"
	"replypath/marks/foreign"
	"replypath/uplinks"
	"replypath/uplinks/rpdb"
	"replypath/uplinks/rtnl"

	"golang.org/x/sys/unix"
)

// maxRulesAge bounds the age of rules that a RuleCache returns, although no change was reported.
const maxRulesAge = 10 * time.Minute

// RuleCache keeps the firewall rules, routes and IPsec policies of other programs between proofs, and the trace of the last requests
// that rules have taken. Safe for concurrent use.
type RuleCache struct {
	mu     sync.Mutex
	rules  firewallRules
	read   time.Time // zero: never, or they have changed since
	routes cachedRoutes

	quiet map[netip.Addr]time.Time // hosts inside that did not reply, and when

	changes       uint64                         // of the rules
	readChanges   uint64                         // until they were read
	requests      map[takenRequest]tracedRequest // without what proofs choose at random
	tracedChanges uint64                         // until the rules were read by which the requests were traced
}

// firewallRules are the rules of other programs: questions are chosen by them, and verdicts explained.
type firewallRules struct {
	others       []foreign.Rule
	read         bool // the others are those of the host
	translations dnat.Rules
	selected     []proof.Selected // what rules select that change marks, connection tracking or routed packets
}

// Invalidate makes the next proof read the rules again.
func (c *RuleCache) Invalidate() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.read = time.Time{}
	c.changes++
	clear(c.quiet)
}

// get returns the rules; those of a firewall that cannot be read are none. A nil cache reads them each time.
func (c *RuleCache) get(ctx context.Context) firewallRules {
	if c == nil {
		rules, _ := readFirewallRules(ctx)
		return rules
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if time.Since(c.read) < maxRulesAge {
		return c.rules
	}
	began := time.Now()
	rules, err := readFirewallRules(ctx)
	if c.rules = rules; err == nil {
		c.read, c.readChanges = began, c.changes
	}
	return rules
}

// readFirewallRules reads the rules in both backends and in tables of nftables.
func readFirewallRules(ctx context.Context) (r firewallRules, err error) {
	firewall, err := host.OpenFirewall(ctx, marks.Auto)
	if err != nil {
		return r, err
	}
	if r.others, err = firewall.ForeignRules(ctx); err != nil {
		return r, err
	}
	r.read = true
	for _, f := range r.others {
		if f.ChangesReplies() {
			for _, p := range f.Ports() {
				r.selected = append(r.selected, selectedBy(p)...)
			}
		}
	}
	r.translations, err = firewall.DestinationNAT(ctx)
	return r, err
}

// selectedBy returns the questions that a port of a rule stands for.
func selectedBy(p foreign.Port) (all []proof.Selected) {
	for _, proto := range []string{"tcp", "udp"} {
		if p.Proto == "" || p.Proto == proto {
			all = append(all, proof.Selected{Proto: proto, Port: p.Number})
		}
	}
	return all
}

// addSelectedByRules adds what rules of other programs (ip-rule(8)) select of the host's replies: source ports, types of service,
// users, and the ports of their servers. It returns all rules.
func addSelectedByRules(ctx context.Context, h *proof.Host, servers []rtnl.Socket) (map[uplinks.Family][]rpdb.Rule, error) {
	links, err := rtnl.Open(0)
	if err != nil {
		return nil, err
	}
	defer links.Close()
	all := map[uplinks.Family][]rpdb.Rule{}
	for _, f := range uplinks.Families {
		if all[f], err = links.PolicyRules(ctx, f); err != nil {
			return nil, err
		}
		for _, r := range all[f] {
			if r.Protocol != uplinks.Protocol {
				addSelectedBy(r, h, servers)
			}
		}
	}
	slices.Sort(h.TOS)
	slices.Sort(h.UIDs)
	h.TOS, h.UIDs = slices.Compact(h.TOS), slices.Compact(h.UIDs)
	return all, nil
}

// addSelectedBy adds what the rule selects.
func addSelectedBy(r rpdb.Rule, h *proof.Host, servers []rtnl.Socket) {
	if r.Sport != (rpdb.PortRange{}) {
		h.Selected = append(h.Selected, selectedBy(foreign.Port{Proto: protocolNames[r.Proto], Number: r.Sport.First})...)
	}
	if r.TOS != 0 {
		h.TOS = append(h.TOS, r.TOS)
	}
	if r.UIDs == nil {
		return
	}
	if r.UIDs.First != 0 {
		h.UIDs = append(h.UIDs, r.UIDs.First)
	}
	for _, s := range servers {
		if r.UIDs.First <= s.UID && s.UID <= r.UIDs.Last {
			h.Preferred = append(h.Preferred, s.Port)
		}
	}
}

// protocolNames has the protocols that have ports, as firewall rules name them.
var protocolNames = map[uint8]string{unix.IPPROTO_TCP: "tcp", unix.IPPROTO_UDP: "udp"}

// uniqueSelected returns the selectors without repetitions, sorted.
func uniqueSelected(all []proof.Selected) []proof.Selected {
	slices.SortFunc(all, func(a, b proof.Selected) int {
		if a.Port != b.Port {
			return int(a.Port) - int(b.Port)
		}
		return strings.Compare(a.Proto, b.Proto)
	})
	return slices.Compact(all)
}
