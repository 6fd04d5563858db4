package nftables_test

import (
	"fmt"
	"net/netip"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"replypath/marks"
	"replypath/marks/nftables"
	"replypath/test/world"

	"github.com/google/go-cmp/cmp"
)

func TestMain(m *testing.M) {
	world.Enter()
	os.Exit(m.Run())
}

// links returns n ingress links of a family, the first of which has a network inside.
func links(n int, ipv6 bool) (all []marks.Ingress) {
	for i := range n {
		all = append(all, marks.Ingress{Link: fmt.Sprintf("wan-%d.0", i), Mark: marks.Mask(0xff00).Mark(marks.ID(255 - i))})
	}
	if n > 2 {
		all[0].Routers, all[1].Link, all[1].Routers = []string{"02:00:00:00:01:01", "0a:bc:de:f0:01:02"}, all[0].Link, []string{"02:00:00:00:02:01"}
	}
	networks := []string{"192.0.2.64/28", "198.51.100.0/24", "203.0.113.7/32"}
	if ipv6 {
		networks = []string{"2001:db8:1::/48", "2001:db8:2::/61", "2001:db8::7/128"}
	}
	for _, p := range networks {
		all[0].Inside = append(all[0].Inside, netip.MustParsePrefix(p))
	}
	return all
}

// creation returns the change that loads the layout into an empty firewall, and the Ruleset that it makes.
func creation(mask marks.Mask, ingress []marks.Ingress) (c marks.Change, want marks.Ruleset) {
	want = marks.Ruleset{Chains: map[string]marks.ChainRules{}, Hooks: map[marks.Hook]marks.HookState{}}
	for _, chain := range marks.MapChains(mask, 8200, false, ingress) {
		c.Chains = append(c.Chains, marks.ChainChange{Name: chain.Name, Create: true, Rules: chain.Rules})
		want.Chains[chain.Name] = marks.ChainRules{Rules: chain.Rules}
	}
	for _, h := range marks.Hooks {
		c.Hooks = append(c.Hooks, marks.HookChange{Hook: h, Insert: true})
		want.Hooks[h] = marks.HookState{Count: 1, Reachable: true}
	}
	return c, want
}

// removal returns the change that undoes creation.
func removal(made marks.Change) (c marks.Change) {
	for _, chain := range made.Chains {
		c.Chains = append(c.Chains, marks.ChainChange{Name: chain.Name})
		c.Delete = append(c.Delete, chain.Name)
	}
	for _, h := range made.Hooks {
		c.Hooks = append(c.Hooks, marks.HookChange{Hook: h.Hook, Remove: 1})
	}
	return c
}

// host is a host with the firewalls of both families.
type host struct {
	*world.Host
	t         *testing.T
	firewalls map[bool]*nftables.Firewall
}

func newHost(t *testing.T) host {
	v4, v6 := nftables.New()
	return host{world.New(t).Host("gw"), t, map[bool]*nftables.Firewall{false: v4, true: v6}}
}

func (h host) apply(ipv6 bool, c marks.Change) {
	h.t.Helper()
	var err error
	h.Do(func() { err = h.firewalls[ipv6].Apply(h.t.Context(), c) })
	if err != nil {
		h.t.Fatal(err)
	}
}

func (h host) read(ipv6 bool) (r marks.Ruleset) {
	h.t.Helper()
	var err error
	h.Do(func() { r, err = h.firewalls[ipv6].Read(h.t.Context()) })
	if err != nil {
		h.t.Fatal(err)
	}
	return r
}

func (h host) wantRead(what string, ipv6 bool, want marks.Ruleset) {
	h.t.Helper()
	got := h.read(ipv6)
	if diff := cmp.Diff(want, got, cmp.Comparer(func(a, b netip.Prefix) bool { return a == b }), cmp.Comparer(func(a, b marks.ChainRules) bool { return a.Equal(b) })); diff != "" {
		h.t.Fatalf("%s (-want +got):\n%s\n%s", what, diff, h.Run("nft", "list", "table", "inet", "replypath"))
	}
}

// list returns the table as nft(8) lists it, without what packets have counted, and sorted within each set.
func (h host) list() string {
	text := h.Run("nft", "-s", "list", "table", "inet", "replypath")
	elements := regexp.MustCompile(`(?s)elements = \{(.*?)\}`)
	return elements.ReplaceAllStringFunc(text, func(set string) string {
		all := strings.Split(strings.Trim(strings.Join(strings.Fields(elements.FindStringSubmatch(set)[1]), " "), " "), ", ")
		slices.Sort(all)
		return strings.Join(all, "\n")
	})
}

// What is loaded by netlink, by the commands of a plan, and by nft(8) from its own listing, is the same for nft(8) and for
// Read.
func TestTableReadsBackHoweverItWasLoaded(t *testing.T) {
	for _, mask := range []marks.Mask{0xff00, 0xff000000, marks.FullMask} {
		t.Run(mask.String(), func(t *testing.T) {
			byNetlink, byCommands, byListing := newHost(t), newHost(t), newHost(t)
			wants := map[bool]marks.Ruleset{}
			var script []string
			for _, ipv6 := range []bool{false, true} {
				ingress := links(3, ipv6)
				for i := range ingress {
					ingress[i].Mark = mask.Mark(marks.ID(3 - i))
				}
				change, want := creation(mask, ingress)
				if mask != marks.FullMask {
					addPurposes(&change, want, mask, ipv6, ingress)
				}
				wants[ipv6] = want
				byNetlink.apply(ipv6, change)
				script = append(script, change.NFTCommands(ipv6)...)
			}
			byCommands.Run("nft", strings.Join(script, "\n"))
			byListing.Run("nft", byNetlink.Run("nft", "list", "ruleset"))
			for ipv6, want := range wants {
				byNetlink.wantRead("by netlink", ipv6, want)
				byCommands.wantRead("by commands", ipv6, want)
				byListing.wantRead("by its listing", ipv6, want)
			}
			if diff := cmp.Diff(strings.Split(byNetlink.list(), "\n"), strings.Split(byCommands.list(), "\n")); diff != "" {
				t.Errorf("-by netlink +by commands:\n%s", diff)
			}
		})
	}
}

func TestRemovalOfBothFamiliesDeletesTable(t *testing.T) {
	h := newHost(t)
	v4, want4 := creation(0xff00, links(250, false))
	v6, want6 := creation(0xff00, links(250, true))
	addPurposes(&v4, want4, 0xff00, false, links(250, false))
	addPurposes(&v6, want6, 0xff00, true, links(250, true))
	h.apply(false, v4)
	h.apply(true, v6)
	h.wantRead("IPv4", false, want4)
	h.wantRead("IPv6", true, want6)
	for range 2 { // what a transaction takes out of a full map makes room in it
		h.apply(false, again(v4))
		h.wantRead("IPv4 again", false, want4)
	}
	h.apply(false, removal(v4))
	h.wantRead("IPv6 alone", true, want6)
	if r := h.read(false); len(r.Chains)+len(r.Hooks) != 0 {
		t.Errorf("left of IPv4: %v", r)
	}
	h.apply(true, removal(v6))
	if text := h.Run("nft", "list", "ruleset"); text != "" {
		t.Errorf("left behind:\n%s", text)
	}
	h.apply(true, removal(v6))
}

// Objects of another program in the table stay, with the table.
func TestObjectsOfOthersStay(t *testing.T) {
	h := newHost(t)
	c, _ := creation(0xff00, links(2, false))
	h.apply(false, c)
	h.Run("nft", "add chain inet replypath theirs { type filter hook input priority 7; }; add rule inet replypath theirs counter accept")
	h.apply(false, removal(c))
	text := h.Run("nft", "-s", "list", "ruleset")
	if !strings.Contains(text, "theirs") || strings.Contains(text, "ip-") || strings.Contains(text, "prerouting") {
		t.Errorf("%s", text)
	}
}

func TestCountersSurviveRewrittenChains(t *testing.T) {
	h := newHost(t)
	c, want := creation(0xff00, links(2, false))
	h.apply(false, c)
	h.Run("nft", "delete rule inet replypath ip-s255 handle "+handleOf(h, "ip-s255")+"; delete counter inet replypath ip-seen255; add counter inet replypath ip-seen255 { packets 42 bytes 4200; }")
	h.apply(false, again(c))
	h.wantRead("again", false, want)
	h.Do(func() {
		got, err := h.firewalls[false].Counters(t.Context())
		if err != nil || got[255].Symmetric != 42 || len(got) != 2 {
			t.Errorf("%v, %v", got, err)
		}
	})
}

// handleOf returns the handle of the first rule of a chain.
func handleOf(h host, chain string) string {
	text := h.Run("nft", "-a", "list", "chain", "inet", "replypath", chain)
	return regexp.MustCompile(`return # handle (\d+)`).FindStringSubmatch(text)[1]
}

// Each change of another program shows, and the same change as before repairs it.
func TestDamageShowsAndIsRepaired(t *testing.T) {
	h := newHost(t)
	c, want := creation(0xff00, links(2, false))
	addPurposes(&c, want, 0xff00, false, links(2, false))
	h.apply(false, c)
	for name, damage := range map[string]string{
		"flushed chain":              "flush chain inet replypath ip-pre",
		"flushed base chain":         "flush chain inet replypath prerouting",
		"flushed map":                "flush map inet replypath ip-restore-map",
		"element gone":               "delete element inet replypath ip-in-map { wan-0.0 }",
		"element of another chain":   "delete element inet replypath ip-in-map { wan-0.0 }; add element inet replypath ip-in-map { wan-0.0 : goto ip-in254 }",
		"verdict in a map":           "add element inet replypath ip-in-map { lan0 : accept }",
		"rule in a chain":            "insert rule inet replypath ip-pre ip saddr 192.0.2.1 ip ttl 1 return",
		"rule before the hook":       "insert rule inet replypath ip-prerouting tcp dport 22 accept",
		"rule in the base chain":     "insert rule inet replypath prerouting udp dport 53 accept",
		"counted rule":               "insert rule inet replypath ip-out counter",
		"rule like ours, other mask": "insert rule inet replypath ip-pre meta mark 0 meta mark set ct mark and 0x1ff00 return",
		"dormant table":              "add table inet replypath { flags dormant; }",
		"policy of the base chain":   "add chain inet replypath output { policy drop; }",
		"hook twice":                 "add rule inet replypath ip-output jump ip-out",
		"hooks in another order":     "flush chain inet replypath ip-prerouting; add rule inet replypath ip-prerouting jump ip-tp; add rule inet replypath ip-prerouting jump ip-pre",
		"rule of an intercept gone":  "flush chain inet replypath ip-tp-dns_0",
		"another port":               "add rule inet replypath ip-tp iifname \"lan0\" udp dport 5353 jump ip-tp-dns_0",
		"address translation first":  "insert rule inet replypath ip-nat-postrouting masquerade",
		"no address translation":     "flush chain inet replypath nat-postrouting; delete chain inet replypath nat-postrouting",
		"pinned elsewhere":           "delete element inet replypath ip-pin-map { wan-0.0 }",
		"table deleted":              "delete table inet replypath",
	} {
		h.Run("nft", damage)
		if got := h.read(false); cmp.Equal(want.Hooks, got.Hooks) && cmp.Equal(want.Chains, got.Chains, cmp.Comparer(func(a, b marks.ChainRules) bool { return a.Equal(b) })) {
			t.Errorf("%s: the table reads as before", name)
		}
		repair := c
		repair.Hooks = slices.Clone(c.Hooks)
		for i := range repair.Hooks {
			repair.Hooks[i].Remove = 1
		}
		h.apply(false, repair)
		h.wantRead(name, false, want)
	}
}

func TestUnknownRulesAreRefused(t *testing.T) {
	h := newHost(t)
	for _, r := range []marks.Rule{
		{Action: marks.Action{Kind: marks.RestoreMark, Mask: 0xff00}},
		{Opaque: "-j MASQUERADE"},
		{Action: marks.Action{Kind: 0x7f}},
		{Packet: marks.PacketMatch{SrcBit: 7}, Action: marks.Action{Kind: marks.Return}},
		{Packet: marks.PacketMatch{Proto: "tcp", Ports: marks.NewList(marks.PortRange{First: 80, Last: 80}, marks.PortRange{First: 443, Last: 443})}, Action: marks.Action{Kind: marks.Return}},
		{Packet: marks.PacketMatch{Proto: "icmp", Ports: marks.NewList(marks.PortRange{First: 80, Last: 80})}, Action: marks.Action{Kind: marks.Return}},
		{Action: marks.Action{Kind: marks.Jump, Chain: "REPLYPATH-N-eth+"}},
	} {
		var err error
		h.Do(func() {
			err = h.firewalls[false].Apply(t.Context(), marks.Change{Chains: []marks.ChainChange{{Name: "REPLYPATH-X", Create: true, Rules: []marks.Rule{r}}}})
		})
		if err == nil || !strings.Contains(err.Error(), "nftables") {
			t.Errorf("%+v: %v", r, err)
		}
	}
	if text := h.Run("nft", "list", "ruleset"); text != "" {
		t.Errorf("%s", text)
	}
}

func TestSupportIsCheckedWithoutAChange(t *testing.T) {
	h := newHost(t)
	h.Do(func() {
		before, _ := h.firewalls[false].Generation()
		for _, f := range h.firewalls {
			if err := f.CheckSupport(t.Context()); err != nil {
				t.Error(err)
			}
		}
		if after, _ := h.firewalls[false].Generation(); after != before {
			t.Errorf("the generation went from %d to %d", before, after)
		}
	})
}
