//go:build boot

package boot

import "strings"

// firewalld makes firewalld the firewall instead of nftables.service, which its start ends, and write its rules anew in
// both of its ways. By either backend it empties the tables of iptables as well, of which it owns nothing.
func (m *machine) firewalld(backend string) {
	m.t.Helper()
	m.run("sed", "--in-place", "s/^FirewallBackend=.*/FirewallBackend="+backend+"/", "/etc/firewalld/firewalld.conf")
	for _, opened := range []string{
		"--add-port=7000/tcp", "--add-port=7000/udp", "--add-forward-port=port=7080:proto=tcp:toport=7000:toaddr=198.18.0.2",
		"--add-rich-rule=rule family=ipv6 forward-port port=7080 protocol=tcp to-port=7000 to-addr=2001:db8:f::2",
	} {
		m.run("firewall-offline-cmd", "--zone=public", opened)
	}
	m.run("systemctl", "start", "firewalld.service")
	m.symmetric()
	for _, reload := range []string{"--reload", "--complete-reload"} {
		m.repairs(damage{reload, "firewall-cmd --quiet " + reload, true})
	}
	if rules := m.run("nft", "list", "ruleset"); !strings.Contains(rules, "public") {
		m.t.Errorf("firewalld has no rules:\n%s", rules)
	}
	m.run("systemctl", "stop", "firewalld.service")
	m.run("systemctl", "start", "nftables.service")
	m.symmetric()
}
