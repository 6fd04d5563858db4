//go:build boot

package boot

import (
	"strings"
	"time"
)

// damage is what another program does to what is ours.
type damage struct {
	name  string
	do    string
	harms bool // replies by the second uplink go wrong until it is repaired
}

var damages = []damage{
	{"ip rule flush", "ip rule flush; ip rule add lookup main priority 32766; ip rule add lookup default priority 32767; ip -6 rule flush; ip -6 rule add lookup main priority 32766", true},
	{"nftables reload", "systemctl reload nftables.service", true},
	// A program that saves its tables, edits them as text, and puts them back without what it does not know, as docker's
	// and other programs' rewrites do.
	{"iptables rewritten", "for i in iptables ip6tables; do $i-save -t mangle | grep -v REPLYPATH | $i-restore -T mangle; done", true},
	{"ufw reload", "ufw default allow incoming && ufw default allow routed && ufw --force enable && ufw reload && ufw --force disable", false},
	{"route flush", "ip route flush table 8202; ip -6 route flush table 8202", true},
	{"link", "ip link set eth1 down; ip link set eth1 up", true},
}

// repairs does the damage while the service stands still, sees what it does, and lets the service go on.
func (m *machine) repairs(d damage) {
	m.t.Helper()
	u := m.Uplinks[1]
	m.run("systemctl", "kill", "--signal=STOP", "replypath.service")
	m.run("sh", "-ec", d.do)
	if err := m.request(u, time.Second); d.harms && err == nil {
		m.t.Errorf("%s: no harm is done: this test shows nothing", d.do)
	} else if !d.harms && err != nil {
		m.t.Errorf("%s: %v", d.do, err)
	}
	m.run("systemctl", "kill", "--signal=CONT", "replypath.service")
	m.symmetric()
	m.await("sync", func() bool { _, err := m.try("replypath", "plan"); return err == nil })
}

// networkdRestarts shows that systemd-networkd leaves our rules and routes alone: with the drop-in it does not look at
// those of others.
func (m *machine) networkdRestarts() {
	m.t.Helper()
	const dropIn = "/usr/lib/systemd/networkd.conf.d/replypath.conf"
	m.run("systemctl", "kill", "--signal=STOP", "replypath.service")
	if n := m.restartNetworkd(); n != 0 {
		m.t.Errorf("systemd-networkd looks at %d rules of others", n)
	}
	if err := m.request(m.Uplinks[1], time.Second); err != nil {
		m.t.Errorf("systemd-networkd has done harm: %v", err)
	}
	m.run("mv", dropIn, dropIn+".off")
	if n := m.restartNetworkd(); n == 0 {
		m.t.Error("systemd-networkd looks at no rules of others without the drop-in: this test shows nothing")
	}
	m.run("systemctl", "kill", "--signal=CONT", "replypath.service")
	m.symmetric()
	m.run("mv", dropIn+".off", dropIn)
	m.restartNetworkd()
}

// restartNetworkd returns the number of foreign rules that networkd logs afterwards.
func (m *machine) restartNetworkd() int {
	m.t.Helper()
	m.run("systemctl", "restart", "systemd-networkd.service")
	m.run("/lib/systemd/systemd-networkd-wait-online", "--interface=eth0", "--interface=eth1", "--timeout=60")
	pid := m.run("systemctl", "show", "--property=MainPID", "--value", "systemd-networkd.service")
	m.run("journalctl", "--sync")
	return strings.Count(m.run("journalctl", "--no-pager", "--boot", "_PID="+pid), "foreign routing policy rule")
}
