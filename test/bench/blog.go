package main

import (
	"fmt"
	"strings"
)

// withBlogRecipe sets up the recipe of many web pages: each uplink has a table, a mark that connections save, and a rule;
// what comes from the LAN, or from the host itself, gets its connection's mark back.
func (g *gateway) withBlogRecipe(backend string) {
	g.forwardings()
	for _, f := range families {
		ip(g.host, f, g.blogRoutes(f))
		feed(g.host, g.blogMarks(), restorer(f, backend), "--noflush")
	}
}

const blogTable = 1000

func (g *gateway) blogRoutes(f family) (lines []string) {
	for i := range g.uplinks {
		table := blogTable + i
		lines = append(lines,
			fmt.Sprintf("route add default via %s dev %s table %d", f.router(i), uplinkName(i), table),
			fmt.Sprintf("route add %s dev lan0 table %d", f.net(), table),
			fmt.Sprintf("rule add priority %d fwmark %d lookup %d", table, i+1, table))
	}
	return lines
}

func (g *gateway) blogMarks() string {
	var rules strings.Builder
	rules.WriteString("*mangle\n")
	for i := range g.uplinks {
		fmt.Fprintf(&rules, "-A PREROUTING -i %s -j MARK --set-mark %d\n", uplinkName(i), i+1)
		fmt.Fprintf(&rules, "-A PREROUTING -i %s -j CONNMARK --save-mark\n", uplinkName(i))
	}
	rules.WriteString("-A PREROUTING -i lan0 -j CONNMARK --restore-mark\n-A OUTPUT -j CONNMARK --restore-mark\nCOMMIT\n")
	return rules.String()
}

// restorer returns the command that restores a family's rules.
func restorer(f family, backend string) string {
	return iptables(f, backend) + "-restore"
}

// iptables returns the command of a family and a backend.
func iptables(f family, backend string) string {
	if f == 4 {
		return "iptables-" + backend
	}
	return "ip6tables-" + backend
}
