package doctor

import (
	"fmt"
	"net/netip"
	"reflect"
	"strings"
	"testing"

	"replypath/marks"
	"replypath/marks/foreign"
	"replypath/uplinks"
	"replypath/uplinks/rpdb"
)

func TestFreeMask(t *testing.T) {
	settings := func(ids ...marks.ID) uplinks.Settings {
		s := uplinks.DefaultSettings()
		for _, id := range ids {
			s.Uplinks = append(s.Uplinks, uplinks.Uplink{ID: id})
		}
		return s
	}
	used := func(all ...foreign.Rule) []foreign.Rule { return all }
	for name, c := range map[string]struct {
		settings uplinks.Settings
		firewall []foreign.Rule
		want     marks.Mask // 0: none is free
	}{
		"beside kube-proxy's and Tailscale's":            {settings(1, 2), used(foreign.Rule{MarkBits: 0x1000}), 0x1f000000},
		"a mark compared without mask uses its own bits": {settings(1, 2), used(foreign.Rule{MarkBits: marks.FullMask, MarkValue: 0xca6c}), 0x1f000000},
		"as wide as the ids require":                     {settings(1, 2), used(foreign.Rule{MarkBits: 0x1f001000}), 0xf00},
		"not narrower than the ids require":              {settings(1, 31), used(foreign.Rule{MarkBits: 0x1f001000}), 0x1f},
		"among bits of programs that are not installed":  {settings(1), used(foreign.Rule{MarkBits: 0xffffff00}), 0x1f},
		"none": {settings(1), used(foreign.Rule{MarkBits: 0xaaaaaaaa}), 0},
	} {
		got, found := Snapshot{Settings: c.settings, Firewall: c.firewall}.freeMask()
		if got != c.want || found != (c.want != 0) {
			t.Errorf("%s: %s, %t, want %s", name, got, found, c.want)
		}
		for _, f := range c.firewall {
			if found && f.MarkBits != marks.FullMask && f.MarkBits&got != 0 {
				t.Errorf("%s: %s is not free", name, got)
			}
		}
	}
}

func TestFirewallRulesHaveOwners(t *testing.T) {
	for want, f := range map[string]foreign.Rule{
		"kube-proxy":    {Location: "nat KUBE-MARK-MASQ", Text: "-A KUBE-MARK-MASQ -j MARK --set-xmark 0x4000/0x4000"},
		"Calico":        {Location: "mangle PREROUTING", Text: "-A PREROUTING -j cali-PREROUTING"},
		"Tailscale":     {Location: "mangle ts-forward", Text: "-A ts-forward -j MARK --set-xmark 0x40000/0xff0000"},
		"Docker":        {Location: "mangle PREROUTING", Text: "-A PREROUTING -j DOCKER-INGRESS"},
		"Cilium":        {Location: "raw CILIUM_PRE_raw", Text: "-A CILIUM_PRE_raw -j CT --notrack"},
		"wg-quick":      {Location: "mangle PREROUTING", Text: `-A PREROUTING -p udp -m comment --comment "wg-quick(8) rule for wg0" -j CONNMARK --restore-mark`},
		"mwan3":         {Location: "mangle mwan3_hook", Text: "-A mwan3_hook -j CONNMARK --restore-mark"},
		"OpenWrt's pbr": {Location: "inet fw4 pbr_prerouting", Text: "meta mark set 0x10000"},
		"firewalld":     {Location: "inet firewalld filter_PREROUTING", Text: "fib saddr . mark . iif oif"},
		"strongSwan":    {Location: "mangle INPUT", Text: "-A INPUT -p udp -m policy --dir in --pol ipsec -j CONNMARK --set-xmark 0x1/0xffffffff"},
		"":              {Location: "mangle PREROUTING", Text: "-A PREROUTING -j MARK --set-xmark 0x1/0xffffffff"},
	} {
		if got := firewallOwner(f); got != want {
			t.Errorf("%s: %q, want %q", f.Text, got, want)
		}
	}
}

// The packet tests do not create tunnels and flowtables, as not every kernel has them.
func TestTunnelsAndOffloadAreReported(t *testing.T) {
	s := Snapshot{Settings: uplinks.DefaultSettings(),
		LinkAttrs: map[string]uplinks.LinkAttributes{"wg0": {Kind: "wireguard"}, "eth0": {Kind: "device"}},
		Sockets:   []UDPServer{{Listener: uplinks.Listener{Addr: netip.IPv6Unspecified(), Port: 51820}, KernelOwned: true}},
		Firewall:  []foreign.Rule{{Tool: "nft list flowtables", Location: "inet filter f", Text: "flowtable f", FlowOffload: true}}}
	all := map[string]Finding{}
	for _, f := range Diagnose(s) {
		all[f.ID] = f
	}
	if f := all["wireguard-listener"]; f.Severity != Note || !strings.Contains(f.Message, "wg0") || !strings.Contains(f.Evidence[0], "51820") {
		t.Errorf("WireGuard: %+v", f)
	}
	if f := all["flow-offload"]; f.Severity != Note || !strings.Contains(f.Evidence[0], "flowtable f") {
		t.Errorf("offload: %+v", f)
	}
	s.LinkAttrs = nil
	for _, f := range Diagnose(s) {
		if f.ID == "wireguard-listener" {
			t.Errorf("reported without a WireGuard link: %+v", f)
		}
	}
}

// Findings are sorted by severity, and all of their fields are set.
func TestFindingsAreSortedAndComplete(t *testing.T) {
	s := Snapshot{Settings: uplinks.DefaultSettings(), RPFilterDrops: 1, ProofError: "no BPF", MissingOptions: []string{"CONFIG_NF_CONNTRACK_MARK"}, ConntrackCount: 90, ConntrackMax: 100,
		Rules: []*rpdb.Database{{Family: uplinks.IPv4, Rules: []rpdb.Rule{{Priority: 1, Action: uplinks.Lookup, Table: 77, SuppressLength: uplinks.NoSuppress},
			{Priority: 2, Action: uplinks.Lookup, Table: 254, SuppressLength: 0}}}}}
	last := 0
	all := Diagnose(s)
	for _, f := range all {
		if f.Severity.rank() < last || f.ID == "" || f.Message == "" || f.Remedy == "" || f.Evidence == nil {
			t.Errorf("out of order or incomplete: %+v", f)
		}
		last = f.Severity.rank()
	}
	if len(all) != 5 || OnlyNotes(all) || !OnlyNotes(nil) {
		t.Errorf("%d findings: %+v", len(all), all)
	}
}

// Two runs on an unchanged host give equal output.
func TestFindingsAreInAStableOrder(t *testing.T) {
	s := Snapshot{Settings: uplinks.DefaultSettings(), Facts: uplinks.Facts{Links: map[string]uplinks.Link{}}}
	for i := range 20 {
		name := fmt.Sprintf("eth%d", i)
		gateway, twice := netip.AddrFrom4([4]byte{192, 0, 2, byte(1 + i/2)}), netip.AddrFrom4([4]byte{198, 51, 100, byte(1 + i/2)})
		s.Settings.Uplinks = append(s.Settings.Uplinks, uplinks.Uplink{ID: marks.ID(i + 1), Link: name, Gateway4: uplinks.Gateway{Addr: gateway}})
		s.Facts.Links[name] = uplinks.Link{Name: name, Addrs: []uplinks.Addr{{Prefix: netip.PrefixFrom(twice, 24)}}}
	}
	first := Diagnose(s)
	count := map[string]int{}
	for _, f := range first {
		count[f.ID]++
	}
	if count["same-gateway"] != 10 || count["same-address"] != 10 {
		t.Fatalf("too few findings to compare: %v", count)
	}
	for range 20 {
		if again := Diagnose(s); !reflect.DeepEqual(again, first) {
			t.Fatalf("another order:\n%v\n%v", first, again)
		}
	}
}

// Connections that may be of a removed uplink are explained in the finding of the unknown program, wherever that is among the findings.
func TestConnectionsOfUnknownProgramMayBeOfARemovedUplink(t *testing.T) {
	s := Snapshot{Settings: uplinks.DefaultSettings(),
		Firewall: []foreign.Rule{{Location: "mangle ts-forward", Text: "-A ts-forward", MarkBits: 0xff00, MarkValue: 0x700, WritesMark: true}}}
	s.Settings.Uplinks = []uplinks.Uplink{{Name: "dsl", ID: 1}}
	tailscale, removed, other := uplinks.MarkedConnections{Mark: 0x700, Count: 1}, uplinks.MarkedConnections{Mark: 0x300, Count: 1}, uplinks.MarkedConnections{Mark: 0x301, Count: 1}
	const explanation = "these may be its connections"
	for name, c := range map[string]struct {
		flows   []uplinks.MarkedConnections
		owners  []string
		explain bool
	}{
		"behind a known program": {[]uplinks.MarkedConnections{tailscale, removed}, []string{"Tailscale", "an unknown program"}, true},
		"before a known program": {[]uplinks.MarkedConnections{removed, tailscale}, []string{"an unknown program", "Tailscale"}, true},
		"with bits of others":    {[]uplinks.MarkedConnections{tailscale, other}, []string{"Tailscale", "an unknown program"}, false},
		"a known program alone":  {[]uplinks.MarkedConnections{tailscale}, []string{"Tailscale"}, false},
	} {
		s.Flows = c.flows
		all := s.checkConnectionMarks()
		if len(all) != len(c.owners) {
			t.Errorf("%s: %+v", name, all)
			continue
		}
		for i, f := range all {
			unknown := c.owners[i] == "an unknown program"
			if !strings.Contains(f.Message, c.owners[i]) || strings.Contains(f.Remedy, explanation) != (unknown && c.explain) {
				t.Errorf("%s: %+v, want one of %s", name, f, c.owners[i])
			}
		}
	}
}
