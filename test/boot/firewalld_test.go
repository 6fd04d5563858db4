//go:build boot

package boot

import "strings"

// firewalld makes firewalld the firewall instead of nftables.service, which its start ends, and write its rules anew in
// both of its ways. By either backend it empties the tables of iptables as well, of which it owns nothing: that harms replies
// until it is repaired, unless the rules are in a protected table.
func (m *machine) firewalld(backend string, harms bool) {
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
		m.repairs(damage{reload, "firewall-cmd --quiet " + reload, harms})
	}
	if rules := m.run("nft", "list", "ruleset"); !strings.Contains(rules, "public") {
		m.t.Errorf("firewalld has no rules:\n%s", rules)
	}
	m.run("systemctl", "stop", "firewalld.service")
	m.run("systemctl", "start", "nftables.service")
	m.symmetric()
}

// firewalldBesideProtection makes the service own its table, over which the reloads of firewalld pass.
func (m *machine) firewalldBesideProtection() {
	m.t.Helper()
	const config = "/etc/replypath/replypath.toml"
	m.disk.Write(config, "backend = \"nftables\"\nprotect = true\n")
	m.run("replypath", "reload")
	m.firewalld("nftables", false)
	if rules := m.run("nft", "list", "table", "inet", "replypath"); !strings.Contains(rules, "flags owner") {
		m.t.Errorf("the table is not protected:\n%s", rules)
	}
	m.run("rm", config)
	m.run("replypath", "reload")
	m.symmetric()
}
