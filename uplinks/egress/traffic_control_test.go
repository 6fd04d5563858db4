package egress

import (
	"net/netip"
	"slices"
	"testing"
)

// uplink is the link of the packets, shaper and other are links to which filters redirect.
const (
	uplink = iota + 2
	other
	shaper
	below
	bridge
	port
)

var links = map[int]Link{
	uplink: {Index: uplink, Name: "eth1"}, other: {Index: other, Name: "eth0"}, shaper: {Index: shaper, Name: "ifb1", Kind: "ifb"},
	below: {Index: below, Name: "eth9", Lower: uplink, Kind: "vlan"}, bridge: {Index: bridge, Name: "br0", Kind: "bridge"}, port: {Index: port, Name: "eth5", Master: bridge},
}

func tcp(from, to string, link int) Packet {
	return Packet{Proto: protoTCP, From: netip.MustParseAddrPort(from), To: netip.MustParseAddrPort(to), Mark: 0x200, Link: link}
}

var (
	reply4 = tcp("192.0.2.2:443", "203.0.113.9:40000", uplink)
	reply6 = tcp("[2001:db8:b::2]:443", "[2001:db8:ffff::9]:40000", uplink)
)

func drop() []Action { return []Action{{Kind: "gact", Control: Shot}} }

func filter(kind string, m Match, actions ...Action) Filter {
	return Filter{Link: uplink, Parent: ClsactEgress, Priority: 1, Protocol: EtherAll, Kind: kind, Match: m, Actions: actions}
}

func TestEffectsOfTrafficControl(t *testing.T) {
	redirect := Action{Kind: "mirred", Control: Stolen, Link: other}
	for name, c := range map[string]struct {
		filters []Filter
		packet  Packet
		want    string // what the first effect does; empty: none
		certain bool
	}{
		"nothing":                      {nil, reply4, "", false},
		"all are dropped":              {[]Filter{filter("matchall", Match{}, drop()...)}, reply6, "drops the packet", true},
		"all are redirected":           {[]Filter{filter("matchall", Match{}, redirect)}, reply4, "redirects the packet to eth0", true},
		"all are shaped by an ifb":     {[]Filter{filter("matchall", Match{}, Action{Kind: "mirred", Control: Stolen, Link: shaper})}, reply4, "", false},
		"all are mirrored":             {[]Filter{filter("matchall", Match{}, Action{Kind: "mirred", Control: Pipe, Link: other, Mirror: true}, Action{Kind: "gact"})}, reply4, "", false},
		"marked, then dropped":         {[]Filter{filter("matchall", Match{}, Action{Kind: "skbedit", Control: Pipe}, drop()[0])}, reply4, "drops the packet", true},
		"classified only":              {[]Filter{filter("u32", Match{})}, reply4, "", false},
		"policed":                      {[]Filter{filter("matchall", Match{}, Action{Kind: "police"})}, reply4, "", false},
		"some are dropped":             {[]Filter{filter("matchall", Match{}, Action{Kind: "gact", Control: Shot, Chance: true})}, reply4, "drops the packet", false},
		"rewritten":                    {[]Filter{filter("matchall", Match{}, Action{Kind: "pedit", Control: Pipe})}, reply4, "rewrites the packet (pedit)", true},
		"by an action without meaning": {[]Filter{filter("matchall", Match{}, Action{Kind: "new", Control: Pipe})}, reply4, "may change the packet (new)", false},
		"by a BPF program":             {[]Filter{{Link: uplink, Parent: ClsactEgress, Protocol: EtherAll, Kind: "bpf", Direct: true, Program: "to-netdev"}}, reply4, `runs the BPF program "to-netdev", which decides what happens to the packet`, false},
		"passed first":                 {[]Filter{filter("matchall", Match{}, Action{Kind: "gact"}), filter("matchall", Match{}, drop()...)}, reply4, "", false},
		"passed to the next filter":    {[]Filter{filter("matchall", Match{}, Action{Kind: "gact", Control: NextFilter}), filter("matchall", Match{}, drop()...)}, reply4, "drops the packet", true},
		"for the other family":         {[]Filter{{Link: uplink, Parent: ClsactEgress, Protocol: EtherIPv6, Kind: "matchall", Actions: drop()}}, reply4, "", false},
		"by mark":                      {[]Filter{filter("fw", Match{Mark: &MaskedNumber{0x200, 0xff00}}, drop()...)}, reply4, "drops the packet", true},
		"by another mark":              {[]Filter{filter("fw", Match{Mark: &MaskedNumber{0x100, 0xff00}}, drop()...)}, reply4, "", false},
		"by source port (u32)":         {[]Filter{filter("u32", Match{Words: []WordMatch{{20, 0xffff0000, 443 << 16}}}, drop()...)}, reply4, "drops the packet", true},
		"by another port (u32)":        {[]Filter{filter("u32", Match{Words: []WordMatch{{20, 0xffff0000, 80 << 16}}}, drop()...)}, reply4, "", false},
		"by the TTL (u32)":             {[]Filter{filter("u32", Match{Words: []WordMatch{{8, 0xff000000, 0x40000000}}}, drop()...)}, reply4, "drops the packet", false},
		"by payload (u32)":             {[]Filter{filter("u32", Match{Words: []WordMatch{{40, 0xff, 1}}}, drop()...)}, reply4, "drops the packet", false},
		"by destination (u32, IPv6)":   {[]Filter{filter("u32", Match{Words: []WordMatch{{24, 0xffffffff, 0x20010db8}}}, drop()...)}, reply6, "drops the packet", true},
		"by source (flower)":           {[]Filter{filter("flower", Match{Proto: protoTCP, From: PrefixMatch{netip.MustParseAddr("192.0.2.0"), netip.MustParseAddr("255.255.255.0")}, Sport: PortMatch{First: 400, Last: 500}}, drop()...)}, reply4, "drops the packet", true},
		"by another source (flower)":   {[]Filter{filter("flower", Match{From: PrefixMatch{netip.MustParseAddr("192.0.2.3"), netip.Addr{}}}, drop()...)}, reply4, "", false},
		"of another family (flower)":   {[]Filter{filter("flower", Match{To: PrefixMatch{netip.MustParseAddr("2001:db8::"), netip.MustParseAddr("ffff:ffff::")}}, drop()...)}, reply4, "", false},
		"by another port (flower)":     {[]Filter{filter("flower", Match{Dport: PortMatch{Value: 80, Mask: 0xffff}}, drop()...)}, reply4, "", false},
		"of a class":                   {[]Filter{{Link: uplink, Parent: 1 << 16, Protocol: EtherAll, Kind: "matchall", Actions: drop()}}, reply4, "drops the packet", true},
		"of another link":              {[]Filter{{Link: other, Parent: ClsactEgress, Protocol: EtherAll, Kind: "matchall", Actions: drop()}}, reply4, "", false},
		"of the link below":            {[]Filter{filter("matchall", Match{}, drop()...)}, tcp("192.0.2.2:443", "203.0.113.9:40000", below), "drops the packet", false},
		"by a filter of its own kind":  {[]Filter{filter("basic", Match{}, drop()...)}, reply4, "drops the packet", false},
		"by the rest of a chain":       {[]Filter{filter("matchall", Match{}, Action{Kind: "gact", Control: 0x20000001})}, reply4, "continues with another chain of filters", false},
		"of what is received":          {[]Filter{{Link: uplink, Parent: ClsactIngress, Protocol: EtherAll, Kind: "matchall", Actions: drop()}}, reply4, "", false},
	} {
		effects := State{Links: links, Filters: c.filters}.Effects(c.packet)
		got, certain := "", false
		if len(effects) > 0 {
			got, certain = effects[0].Does, effects[0].Certain
		}
		if got != c.want || certain != c.certain {
			t.Errorf("%s: %q, certain %v, want %q, %v", name, got, certain, c.want, c.certain)
		}
	}
}

func TestQdiscsThatDrop(t *testing.T) {
	for name, c := range map[string]struct {
		qdisc   Qdisc
		want    string
		certain bool
	}{
		"htb":          {Qdisc{Link: uplink, Kind: "htb", Parent: Root}, "", false},
		"blackhole":    {Qdisc{Link: uplink, Kind: "blackhole", Parent: Root}, "drops every packet", true},
		"netem, some":  {Qdisc{Link: uplink, Kind: "netem", Parent: Root, Loss: Root / 10}, "drops 10% of the packets", false},
		"netem, all":   {Qdisc{Link: uplink, Kind: "netem", Parent: Root, Loss: Root}, "drops 100% of the packets", true},
		"netem, delay": {Qdisc{Link: uplink, Kind: "netem", Parent: Root}, "", false},
		"tbf":          {Qdisc{Link: uplink, Kind: "tbf", Parent: Root, Rate: 125000, Limit: &QueueLimit{Size: 4000}}, "", false},
		"tbf, 8 bit/s": {Qdisc{Link: uplink, Kind: "tbf", Parent: Root, Rate: 1, Limit: &QueueLimit{Size: 1600}}, "lets only 8 bit/s pass", false},
		"tbf, 10 B":    {Qdisc{Link: uplink, Kind: "tbf", Parent: Root, Rate: 125000, Limit: &QueueLimit{Size: 10}}, "drops packets longer than 10 bytes", true},
		"tbf, 900 B":   {Qdisc{Link: uplink, Kind: "tbf", Parent: Root, Rate: 125000, Limit: &QueueLimit{Size: 900}}, "drops packets longer than 900 bytes", false},
		"no queue":     {Qdisc{Link: uplink, Kind: "pfifo", Parent: Root, Limit: &QueueLimit{Packets: true}}, "drops every packet: its limit is 0", true},
		"of a class":   {Qdisc{Link: uplink, Kind: "pfifo", Parent: 1<<16 | 2, Limit: &QueueLimit{Packets: true}}, "drops every packet: its limit is 0", false},
		"a queue":      {Qdisc{Link: uplink, Kind: "pfifo", Parent: Root, Limit: &QueueLimit{Size: 1, Packets: true}}, "", false},
		"no bytes":     {Qdisc{Link: uplink, Kind: "bfifo", Parent: Root, Limit: &QueueLimit{}}, "drops packets longer than 0 bytes", true},
		"elsewhere":    {Qdisc{Link: other, Kind: "blackhole", Parent: Root}, "", false},
	} {
		effects := State{Links: links, Qdiscs: []Qdisc{c.qdisc}}.Effects(reply4)
		got, certain := "", false
		if len(effects) > 0 {
			got, certain = effects[0].Does, effects[0].Certain
		}
		if got != c.want || certain != c.certain {
			t.Errorf("%s: %q, certain %v, want %q, %v", name, got, certain, c.want, c.certain)
		}
	}
}

func TestBelowFollowsStackedLinks(t *testing.T) {
	searched, indexed := State{Links: links}, State{Links: links}
	indexed.IndexPorts()
	for _, s := range []State{searched, indexed} {
		for index, want := range map[int][]string{uplink: {"eth1"}, below: {"eth9", "eth1"}, bridge: {"br0", "eth5"}, 99: nil} {
			var got []string
			for _, l := range s.Below(index) {
				got = append(got, l.Name)
			}
			if !slices.Equal(got, want) {
				t.Errorf("below %d: %q, want %q", index, got, want)
			}
		}
	}
}
