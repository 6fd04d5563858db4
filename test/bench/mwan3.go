package main

import (
	"fmt"
	"net/netip"
	"strings"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// mwan3Bits are those of its marks. With all of them set a packet is left to main.
const mwan3Bits = "0xff00"

// withMwan3 sets the gateway up as mwan3 2.12 does, with a policy of the last uplink: marks of connections are restored, the networks
// that main decides on are in sets, and each uplink has a chain, a table and three rules.
func (g *gateway) withMwan3(backend string) {
	byMain((*gateway).forwardings)(g)
	for _, f := range families {
		g.mwan3Sets(f)
		ip(g.host, f, g.mwan3Routes(f))
		feed(g.host, g.mwan3Marks(f), restorer(f, backend), "--noflush")
	}
}

func (g *gateway) mwan3Routes(f family) (lines []string) {
	for i := range g.uplinks {
		table, mark := blogTable+i, fmt.Sprintf("%#x/%s", (i+1)<<8, mwan3Bits)
		lines = append(lines,
			fmt.Sprintf("route add default via %s dev %s table %d", f.router(i), uplinkName(i), table),
			fmt.Sprintf("route add %s dev lan0 table %d", f.net(), table),
			fmt.Sprintf("rule add priority %d iif %s lookup %d", 1001+i, uplinkName(i), table),
			fmt.Sprintf("rule add priority %d fwmark %s lookup %d", 2001+i, mark, table),
			fmt.Sprintf("rule add priority %d fwmark %s unreachable", 3001+i, mark))
	}
	return lines
}

// mwan3Known are the sets of networks that main decides on.
var mwan3Known = []string{"custom", "connected", "dynamic"}

func mwan3Name(set string, f family) string { return fmt.Sprintf("mwan3_%s_ipv%d", set, f) }

// mwan3Sets makes the sets. Of those networks a gateway has only connected ones.
func (g *gateway) mwan3Sets(f family) {
	connected := []netip.Prefix{f.net()}
	for i := range g.uplinks {
		network, err := f.own(i).Prefix(f.net().Bits())
		must(err, "network of uplink %d", i)
		connected = append(connected, network)
	}
	g.host.Do(func() {
		for _, set := range mwan3Known {
			kind, options := "hash:net", netlink.IpsetCreateOptions{Family: map[family]uint8{4: unix.AF_INET, 6: unix.AF_INET6}[f]}
			if set == "dynamic" {
				kind = "list:set"
			}
			must(netlink.IpsetCreate(mwan3Name(set, f), kind, options), "%s: create the set %s", g.name, mwan3Name(set, f))
		}
		for _, n := range connected {
			must(netlink.IpsetAdd(mwan3Name("connected", f), &netlink.IPSetEntry{IP: n.Addr().AsSlice(), CIDR: uint8(n.Bits())}), "%s: add %s to a set", g.name, n)
		}
	})
}

// mwan3Marks returns its rules in the table mangle.
func (g *gateway) mwan3Marks(f family) string {
	var rules strings.Builder
	words := strings.NewReplacer("UNMARKED", "-m mark --mark 0x0/"+mwan3Bits, "BITS", mwan3Bits)
	add := func(format string, args ...any) {
		rules.WriteString(words.Replace(fmt.Sprintf(format, args...)) + "\n")
	}
	add("*mangle")
	for _, chain := range []string{"mwan3_hook", "mwan3_ifaces_in", "mwan3_rules", "mwan3_policy_last"} {
		add(":%s - [0:0]", chain)
	}
	for _, set := range mwan3Known {
		add(":mwan3_%s - [0:0]", set)
		add("-A mwan3_%s -m set --match-set %s dst -j MARK --set-xmark BITS/BITS", set, mwan3Name(set, f))
	}
	for i := range g.uplinks {
		link := uplinkName(i)
		add(":mwan3_iface_in_%s - [0:0]", link)
		for _, set := range mwan3Known {
			add("-A mwan3_iface_in_%s -i %s -m set --match-set %s src UNMARKED -j MARK --set-xmark BITS/BITS", link, link, mwan3Name(set, f))
		}
		add("-A mwan3_iface_in_%s -i %s UNMARKED -j MARK --set-xmark %#x/BITS", link, link, (i+1)<<8)
		add("-A mwan3_ifaces_in UNMARKED -j mwan3_iface_in_%s", link)
	}
	add("-A mwan3_policy_last UNMARKED -j MARK --set-xmark %#x/BITS", g.uplinks<<8)
	add("-A mwan3_rules UNMARKED -j mwan3_policy_last")
	add("-A mwan3_hook UNMARKED -j CONNMARK --restore-mark --nfmask BITS --ctmask BITS")
	add("-A mwan3_hook UNMARKED -j mwan3_ifaces_in")
	for _, set := range mwan3Known {
		add("-A mwan3_hook UNMARKED -j mwan3_%s", set)
	}
	add("-A mwan3_hook UNMARKED -j mwan3_rules")
	add("-A mwan3_hook -j CONNMARK --save-mark --nfmask BITS --ctmask BITS")
	for _, set := range mwan3Known {
		add("-A mwan3_hook -m mark ! --mark BITS/BITS -j mwan3_%s", set)
	}
	add("-A PREROUTING -j mwan3_hook")
	add("-A OUTPUT -j mwan3_hook")
	add("COMMIT")
	return rules.String()
}
