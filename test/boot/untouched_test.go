//go:build boot

package boot

import (
	"regexp"
	"strings"
)

// untouched wants nothing of ours in the kernel.
func (m *machine) untouched() {
	m.t.Helper()
	ours := regexp.MustCompile(`REPLYPATH|8200|proto(col)? (82|replypath)|src_valid_mark = 1|fwmark_reflect = 1|tcp_fwmark_accept = 1`)
	for _, read := range [][]string{
		{"ip", "rule"}, {"ip", "-6", "rule"}, {"ip", "route", "show", "table", "all"}, {"ip", "-6", "route", "show", "table", "all"},
		{"ip", "-d", "link"}, {"iptables-save"}, {"ip6tables-save"}, {"nft", "list", "ruleset"}, {"sysctl", "net.ipv4.conf.eth0.src_valid_mark",
			"net.ipv4.conf.eth1.src_valid_mark", "net.ipv4.conf.all.src_valid_mark", "net.ipv4.fwmark_reflect", "net.ipv4.tcp_fwmark_accept", "net.ipv6.fwmark_reflect"},
	} {
		if found := ours.FindString(m.run(read...)); found != "" {
			m.t.Errorf("%s still has %q", strings.Join(read, " "), found)
		}
	}
}

// there wants, or wants not, that these files are there.
func (m *machine) there(want bool, paths ...string) {
	m.t.Helper()
	for _, path := range paths {
		if _, err := m.try("test", "-e", path); (err == nil) != want {
			m.t.Errorf("%s is there: %t", path, !want)
		}
	}
}
