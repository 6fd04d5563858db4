package uplinks_test

import (
	"fmt"
	"net/netip"
	"reflect"
	"slices"
	"strings"
	"testing"

	"replypath/marks"
	"replypath/uplinks"
	"replypath/uplinks/uplinkstest"
)

// translatedSettings returns settings whose sources are translated in both families, without networks that a provider routes here.
func translatedSettings() uplinks.Settings {
	s := outboundSettings()
	s.Outbound.Masquerade, s.Outbound.Prefixes = uplinks.MasqueradeBoth, nil
	return s
}

// filterText returns the filters as text, in order.
func filterText(all []uplinks.EgressFilter) string {
	var lines []string
	for _, e := range all {
		line := fmt.Sprintf("%s %d:", e.Link, e.Index)
		for _, p := range e.Drop {
			line += " " + p.String()
		}
		for _, p := range e.Pass {
			line += " !" + p.String()
		}
		lines = append(lines, line)
	}
	slices.Sort(lines)
	return strings.Join(lines, "; ")
}

// The filters of the host of the tests: of eth0, of eth1, and both.
const (
	filter0  = "eth0 2: 192.0.2.2/32 198.18.0.0/24 2001:db8:b::2/128 2001:db8:c::/64"
	filter1  = "eth1 3: 198.18.0.0/24 198.51.100.2/32 2001:db8:a::2/128 2001:db8:c::/64"
	filters  = filter0 + "; " + filter1
	filters4 = "eth0 2: 192.0.2.2/32 198.18.0.0/24; eth1 3: 198.18.0.0/24 198.51.100.2/32"
)

func TestFiltersDropSourcesThatNoProviderTakes(t *testing.T) {
	p := netip.MustParsePrefix
	more := func(network string) string { // in both filters, behind 198.18.0.0/24
		return strings.ReplaceAll(filters, "198.18.0.0/24", "198.18.0.0/24 "+network)
	}
	for name, c := range map[string]struct {
		change func(s *uplinks.Settings, f *uplinks.Facts)
		want   string
	}{
		"both families":    {func(*uplinks.Settings, *uplinks.Facts) {}, filters},
		"no outbound":      {func(s *uplinks.Settings, _ *uplinks.Facts) { s.Outbound = uplinks.Outbound{} }, ""},
		"no translation":   {func(s *uplinks.Settings, _ *uplinks.Facts) { s.Outbound.Masquerade = uplinks.MasqueradeOff }, ""},
		"IPv4 alone":       {func(s *uplinks.Settings, _ *uplinks.Facts) { s.Outbound.Masquerade = uplinks.MasqueradeIPv4 }, filters4},
		"an uplink in one": {func(s *uplinks.Settings, _ *uplinks.Facts) { s.Uplinks[1].Gateway6 = uplinks.Gateway{} }, "eth0 2: 192.0.2.2/32 198.18.0.0/24 2001:db8:c::/64; eth1 3: 198.18.0.0/24 198.51.100.2/32"},
		"a link is gone":   {func(_ *uplinks.Settings, f *uplinks.Facts) { delete(f.Links, "eth1") }, "eth0 2: 198.18.0.0/24 2001:db8:c::/64"},
		"nothing inside":   {func(_ *uplinks.Settings, f *uplinks.Facts) { delete(f.Links, "lan0") }, "eth0 2: 192.0.2.2/32 2001:db8:b::2/128; eth1 3: 198.51.100.2/32 2001:db8:a::2/128"},
		"behind a router":  {addRoute("lan0", "198.18.64.0/18"), more("198.18.64.0/18")},
		"a part inside":    {addRoute("lan0", "198.18.0.64/26"), filters},
		"a VPN for all":    {addRoute("lan0", "128.0.0.0/1"), filters},
		"by an uplink":     {addRoute("eth1", "203.0.113.0/24"), filters},
		"the link's own part": {addRoute("lan0", "198.51.100.64/26"),
			filter0 + "; " + strings.Replace(filter1, "198.51.100.2/32", "198.51.100.2/32 198.51.100.64/26", 1)},
		"around the links' own": {addRoute("lan0", "198.51.0.0/16"),
			strings.Replace(filter0, "198.18.0.0/24", "198.18.0.0/24 198.51.0.0/16", 1) + " !198.51.100.0/24; " + strings.Replace(filter1, "198.51.100.2/32", "198.51.0.0/16", 1)},
		"prefixes": {func(s *uplinks.Settings, _ *uplinks.Facts) {
			s.Outbound.Prefixes = []uplinks.UplinkPrefixes{{Uplink: "lte", Prefixes: []netip.Prefix{p("198.18.0.8/29"), p("2001:db8:c::/56"), p("203.0.113.0/24")}}}
		}, strings.ReplaceAll(strings.ReplaceAll(filters+";", " 2001:db8:c::/64", ""), ";", " !198.18.0.8/29;")},
		"addresses of no link": {func(_ *uplinks.Settings, f *uplinks.Facts) {
			f.Links["dummy0"] = uplinks.Link{Name: "dummy0", Index: 9, Isolated: true, Connected: []uplinks.Connected{{Dst: p("203.0.113.0/28")}}}
		}, filters},
		"a link in a VRF": {func(_ *uplinks.Settings, f *uplinks.Facts) {
			f.Links["vrf1"] = uplinks.Link{Name: "vrf1", Index: 9, VRF: 10, Connected: []uplinks.Connected{{Dst: p("203.0.113.0/28")}}}
		}, filters},
		"link-local networks": {func(_ *uplinks.Settings, f *uplinks.Facts) { connect(f, "lan0", "fe80::/64", "169.254.0.0/16") }, filters},
		"a VLAN on the link":  {func(_ *uplinks.Settings, f *uplinks.Facts) { above(f, "vlan", "198.18.9.0/24") }, more("198.18.9.0/24")},
		"a macvlan on it": {func(_ *uplinks.Settings, f *uplinks.Facts) { above(f, "macvlan", "198.18.9.0/24") },
			strings.Replace(filter0, "198.18.0.0/24", "198.18.0.0/24 198.18.9.0/24", 1) + "; eth1 3: 2001:db8:a::2/128 2001:db8:c::/64"},
		"an uplink that is a macvlan": {func(_ *uplinks.Settings, f *uplinks.Facts) {
			l := f.Links["eth1"]
			l.Kind, l.Lower = "macvlan", f.Links["eth0"].Index
			f.Links["eth1"] = l
		}, "eth0 2: 198.18.0.0/24 2001:db8:c::/64; " + filter1},
		"a flow table of another program": {func(_ *uplinks.Settings, f *uplinks.Facts) {
			f.FlowTables = map[string]string{"eth0": "inet fw4 ft"}
		}, filter1},
		"accelerate": {accelerate, ""},
		"accelerate without effect": {func(s *uplinks.Settings, f *uplinks.Facts) {
			accelerate(s, f)
			f.FlowRefused = "no such file"
		}, filters},
	} {
		s, f := translatedSettings(), uplinkstest.Facts()
		c.change(&s, &f)
		if got := filterText(s.EgressFilters(f)); got != strings.TrimSuffix(c.want, ";") {
			t.Errorf("%s: got\n%s\nwant\n%s", name, got, c.want)
		}
	}
}

// addRoute adds a route by a router on the link.
func addRoute(link, network string) func(*uplinks.Settings, *uplinks.Facts) {
	return func(_ *uplinks.Settings, f *uplinks.Facts) {
		f.GatewayRoutes = append(f.GatewayRoutes, uplinks.GatewayRoute{Dst: netip.MustParsePrefix(network), Gateway: netip.MustParseAddr("198.18.0.7"), Link: link})
	}
}

// connect adds networks to a link.
func connect(f *uplinks.Facts, name string, networks ...string) {
	l := f.Links[name]
	for _, n := range networks {
		l.Connected = append(l.Connected, uplinks.Connected{Dst: netip.MustParsePrefix(n)})
	}
	f.Links[name] = l
}

// above adds a link of the kind on eth1, with a network inside.
func above(f *uplinks.Facts, kind, network string) {
	f.Links["upper"] = uplinks.Link{Name: "upper", Index: 9, Up: true, Carrier: true, Kind: kind, Lower: f.Links["eth1"].Index}
	connect(f, "upper", network)
}

// accelerate puts all links into a flow table.
func accelerate(s *uplinks.Settings, f *uplinks.Facts) {
	s.Accelerate = &uplinks.Acceleration{All: true}
	for name, l := range f.Links {
		if name != "lo" {
			l.Kind, l.MAC = "device", "\x02\x00\x00\x00\x00\x01"
			f.Links[name] = l
		}
	}
}

// A filter follows the chains that translate and mark what it would drop; it is relaxed or goes before anything changes.
func TestFiltersDropNothingThatChainsHaveNotTranslatedYet(t *testing.T) {
	k := uplinkstest.NewFake(uplinkstest.Facts())
	sync := func(s uplinks.Settings) []string {
		t.Helper()
		plan, err := uplinks.Sync(t.Context(), k, s)
		if err != nil {
			t.Fatal(err)
		}
		return strings.Split(strings.TrimSpace(plan.String()), "\n")
	}
	const set, del = "# [outbound]: a BPF program at the egress of ", "# [outbound]: remove the BPF program at the egress of "
	at := func(lines []string, word string) int {
		return slices.IndexFunc(lines, func(line string) bool { return strings.Contains(line, word) })
	}
	s := translatedSettings()
	on := sync(s)
	if set, chain, rule := at(on, set+"eth0 drops packets without a mark from 192.0.2.2/32, 198.18.0.0/24, 2001:db8:b::2/128, 2001:db8:c::/64"), at(on, "-j MASQUERADE"), at(on, "lookup 845"); set < max(chain, rule) || chain < 0 {
		t.Errorf("set at %d, translated at %d, a policy at %d of\n%s", set, chain, rule, strings.Join(on, "\n"))
	}
	s.Outbound.Prefixes = []uplinks.UplinkPrefixes{{Uplink: "lte", Prefixes: []netip.Prefix{netip.MustParsePrefix("198.18.0.8/29"), netip.MustParsePrefix("2001:db8:c::/64")}}}
	fewer := sync(s)
	if want := set + "eth0 drops packets without a mark from 192.0.2.2/32, 198.18.0.0/24, 2001:db8:b::2/128, but not from 198.18.0.8/29"; at(fewer, want) != 0 || at(fewer, set+"eth1") != 1 {
		t.Errorf("with prefixes: want first %q, got\n%s", want, strings.Join(fewer, "\n"))
	}
	s.Outbound.Prefixes = nil
	if more := sync(s); at(more, set+"eth0") < at(more, "REPLYPATH-NAT2") || strings.Count(strings.Join(more, "\n"), set) != 2 {
		t.Errorf("without prefixes:\n%s", strings.Join(more, "\n"))
	}
	if again := sync(s); at(again, "BPF") >= 0 {
		t.Errorf("in sync: %s", again)
	}
	s.Outbound.Masquerade = uplinks.MasqueradeOff
	if off := sync(s); at(off, del+"eth0") != 0 || at(off, del+"eth1") != 1 {
		t.Errorf("without translation:\n%s", strings.Join(off, "\n"))
	}
}

// One filter is relaxed to what it drops before and afterwards, before it drops more.
func TestFilterThatIsExchangedDropsAtFirstWhatBothDrop(t *testing.T) {
	have, want := uplinks.NewState(), uplinks.NewState()
	networks := func(words ...string) (all []netip.Prefix) {
		for _, w := range words {
			all = append(all, netip.MustParsePrefix(w))
		}
		return all
	}
	old := uplinks.EgressFilter{Index: 2, Link: "eth0", Drop: networks("198.18.0.0/24", "198.18.1.0/24")}
	e := uplinks.EgressFilter{Index: 2, Link: "eth0", Drop: networks("198.18.0.0/24", "198.18.2.0/24"), Pass: networks("198.18.0.8/29")}
	both := uplinks.EgressFilter{Index: 2, Link: "eth0", Drop: networks("198.18.0.0/24"), Pass: networks("198.18.0.8/29")}
	have.EgressFilters[2], want.EgressFilters[2] = old, e
	if plan := uplinks.Diff(want, have); !reflect.DeepEqual(plan, uplinks.Plan{uplinks.SetEgressFilter{Filter: both}, uplinks.SetEgressFilter{Filter: e}}) {
		t.Errorf("exchanged:\n%s", plan)
	}
	if all := networks("198.18.0.0/24", "198.18.1.0/24"); !slices.Equal(old.Drop, all) || len(e.Drop) != 2 || len(e.Pass) != 1 {
		t.Errorf("the plan has changed the filters to %v and %v", old, e)
	}
	other, damaged := uplinks.EgressFilter{Index: 2, Link: "eth0", Drop: networks("2001:db8:c::/64")}, uplinks.EgressFilter{Index: 2, Link: "eth0"}
	for name, c := range map[string]struct {
		have uplinks.EgressFilter
		want uplinks.Plan
	}{
		"nothing in common": {old, uplinks.Plan{uplinks.DelEgressFilter{Filter: old}, uplinks.SetEgressFilter{Filter: other}}},
		"damaged":           {damaged, uplinks.Plan{uplinks.SetEgressFilter{Filter: other}}},
		"another index":     {uplinks.EgressFilter{Index: 7}, uplinks.Plan{uplinks.DelEgressFilter{Filter: uplinks.EgressFilter{Index: 7}}, uplinks.SetEgressFilter{Filter: other}}},
	} {
		clear(have.EgressFilters)
		clear(want.EgressFilters)
		have.EgressFilters[c.have.Index], want.EgressFilters[other.Index] = c.have, other
		if plan := uplinks.Diff(want, have); !reflect.DeepEqual(plan, c.want) {
			t.Errorf("%s:\n%s", name, plan)
		}
	}
	clear(want.EgressFilters)
	want.EgressFilters[damaged.Index] = damaged // of the state before a change that is undone
	for _, now := range []uplinks.EgressFilter{other, old, damaged, {Index: 7}} {
		clear(have.EgressFilters)
		have.EgressFilters[now.Index] = now
		if plan := uplinks.Diff(want, have); slices.ContainsFunc(plan, func(s uplinks.Step) bool { _, sets := s.(uplinks.SetEgressFilter); return sets }) {
			t.Errorf("from %+v back to a damaged filter:\n%s", now, plan)
		}
	}
}

func TestRefusedFiltersAreLeftOut(t *testing.T) {
	f := uplinkstest.Facts()
	f.EgressFilterRefused.All = "no BPF"
	plan := uplinks.Diff(uplinks.Desired(translatedSettings(), f, nil), uplinks.NewState()).String()
	if strings.Contains(plan, "BPF") || !strings.Contains(plan, marks.BackupName) {
		t.Errorf("plan: %s", plan)
	}
	f.EgressFilterRefused = uplinks.ProgramRefusal{Links: map[int]string{f.Links["eth1"].Index: "no place"}}
	want := uplinks.Desired(translatedSettings(), f, nil).EgressFilters
	for _, e := range want {
		if e.Link == "eth1" {
			t.Errorf("refused is %+v", e)
		}
	}
	if len(want) == 0 {
		t.Error("no other link has a filter")
	}
}
