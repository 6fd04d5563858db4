//go:build boot

package boot

import (
	"strings"
	"testing"
)

// TestFirstRepliesAfterBootAreSymmetric installs the package where nothing runs, as an image builder does, and has
// a client ask from before the boot on.
func TestFirstRepliesAfterBootAreSymmetric(t *testing.T) {
	d := newDisk(t)
	d.install(deb)
	d.networkd()
	d.uplinks(2)
	m := boot(t, d, fresh(t, 2))
	m.triggerRestart(m.Uplinks[1])
	m.up()
	m.repliesAtOnce()
	m.prompt()
	m.order()
	m.off()
}

// order wants the events of the boot in their right order.
func (m *machine) order() {
	m.t.Helper()
	all := m.journal()
	has := m.first(all, `eth1: DHCPv4 address 192\.0\.2\.2/24`)
	applied := m.first(all, `msg=changed .*default via 192\.0\.2\.1 dev eth1 .*table 8202`)
	started := m.first(all, `^Started replypath\.service`)
	network := m.first(all, `^Reached target network\.target`)
	if started > network {
		m.t.Errorf("servers that wait for network.target need not wait for the service\n%s", m.log())
	}
	if applied < has {
		m.t.Errorf("applied before there was an address\n%s", m.log())
	}
}

// TestMissingUplinkDoesNotDelayBoot boots a host of which one NIC is missing, and adds it later.
func TestMissingUplinkDoesNotDelayBoot(t *testing.T) {
	d := newDisk(t)
	d.install(deb)
	d.networkd()
	d.uplinks(3)
	w := fresh(t, 3)
	late := w.Uplinks[2]
	late.Link.Delete()
	m := boot(t, d, w)
	m.triggerRestart(w.Uplinks[1])
	m.up()
	m.prompt()
	m.symmetric(w.Uplinks[:2]...)
	if state := m.run("systemctl", "is-active", "replypath.service", "multi-user.target"); state != "active\nactive" {
		t.Errorf("%s\n%s", state, m.log())
	}
	w.Rewire(late)
	m.symmetric()
	m.off()
}

func TestIfupdown(t *testing.T) {
	d := newDisk(t)
	d.install(deb)
	d.ifupdown()
	d.uplinks(2)
	m := boot(t, d, fresh(t, 2))
	m.triggerRestart(m.Uplinks[1])
	m.up()
	m.prompt()
	m.repliesAtOnce()
	m.off()
}

// TestPackageWithoutConfigurationChangesNothing boots a host on which the package was installed and nothing else done.
func TestPackageWithoutConfigurationChangesNothing(t *testing.T) {
	d := newDisk(t)
	d.install(deb)
	d.networkd()
	m := boot(t, d, fresh(t, 2))
	m.up()
	if got := m.run("systemctl", "show", "--property=Result,ActiveState,NRestarts", "replypath.service"); got != "Result=success\nNRestarts=0\nActiveState=inactive" {
		t.Errorf("the service: %s\n%s", got, m.log())
	}
	m.first(m.journal(), `nothing to do.*replypath init --write`)
	m.untouched()
	m.off()
}

// TestUnconfirmedChangeIsNotInForceAfterAPowerCut cuts the power while a change waits for its confirmation, and then boots with
// a file that is broken.
func TestUnconfirmedChangeIsNotInForceAfterAPowerCut(t *testing.T) {
	d := newDisk(t)
	d.install(deb)
	d.networkd()
	d.uplinks(2)
	m := boot(t, d, fresh(t, 2))
	m.triggerRestart(m.Uplinks[1])
	m.up()
	m.symmetric()
	d.Write("/etc/replypath/replypath.toml", "priority = 5000\n")
	m.run("replypath", "apply", "--confirm", "1h")
	if rules := m.run("ip", "rule"); !strings.Contains(rules, "5003:") {
		t.Errorf("before the power cut:\n%s", rules)
	}
	m.cut()

	for _, text := range []string{"priority = 5000\n", "nonsense = 1\n"} {
		d.Write("/etc/replypath/replypath.toml", text)
		m = boot(t, d, fresh(t, 2))
		m.triggerRestart(m.Uplinks[1])
		m.up()
		m.repliesAtOnce()
		m.prompt()
		if rules := m.run("ip", "rule"); !strings.Contains(rules, "2003:") || strings.Contains(rules, "5003:") {
			t.Errorf("after a boot with %q:\n%s\n%s", text, rules, m.log())
		}
		if output, err := m.try("replypath", "status"); exitStatus(t, err) != 3 || !strings.Contains(strings.Join(strings.Fields(output), " "), "the last confirmed configuration is in force") {
			t.Errorf("after a boot with %q: %v, %s", text, err, output)
		}
		m.cut()
	}
}
