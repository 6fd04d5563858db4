package main

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// snapshot is what a program that sets up routing could have left on a host, a thing a line.
type snapshot []string

// snapshot lists the gateway's rules, routes, links, mangle chains, and sysctls.
func (g *gateway) snapshot() snapshot {
	var all snapshot
	for _, args := range [][]string{
		{"ip", "-4", "rule"}, {"ip", "-6", "rule"},
		{"ip", "-4", "route", "show", "table", "all"}, {"ip", "-6", "route", "show", "table", "all"},
		{"ip", "-o", "link"},
		{"iptables-save", "-t", "mangle"}, {"ip6tables-save", "-t", "mangle"},
	} {
		for line := range strings.Lines(g.host.Run(args[0], args[1:]...)) {
			if !frame(line) {
				all = append(all, args[0]+": "+strings.TrimSpace(line))
			}
		}
	}
	all = append(all, g.sysctls()...)
	slices.Sort(all)
	return all
}

// frame reports whether a line of iptables-save is there also when a table is empty.
func frame(line string) bool {
	return strings.HasPrefix(line, "#") || strings.HasPrefix(line, "*") || strings.HasPrefix(line, "COMMIT") ||
		strings.HasPrefix(line, ":") && !strings.HasPrefix(line, ":REPLYPATH")
}

func (g *gateway) sysctls() (all snapshot) {
	g.host.Do(func() {
		for _, pattern := range []string{
			"ipv4/conf/*/src_valid_mark", "ipv4/conf/*/rp_filter", "ipv4/tcp_fwmark_accept", "ipv?/fwmark_reflect",
		} {
			paths, _ := filepath.Glob("/proc/sys/net/" + pattern)
			for _, p := range paths {
				value, err := os.ReadFile(p)
				if err != nil {
					g.stage.Errorf("%v", err)
				}
				all = append(all, "sysctl: "+p+" "+strings.TrimSpace(string(value)))
			}
		}
	})
	return all
}

// differences returns the lines that only one of the two has.
func (s snapshot) differences(other snapshot) (lines []string) {
	for _, l := range s {
		if !slices.Contains(other, l) {
			lines = append(lines, "+ "+l)
		}
	}
	for _, l := range other {
		if !slices.Contains(s, l) {
			lines = append(lines, "- "+l)
		}
	}
	return lines
}
