//go:build boot

package boot

import (
	"context"
	"strings"
	"testing"
	"time"

	"replypath/test/world"
)

// TestInstallUpgradeAndRemove installs the package on a running host, and does to it what happens to a host until it is removed.
func TestInstallUpgradeAndRemove(t *testing.T) {
	d := newDisk(t)
	d.networkd()
	m := boot(t, d, fresh(t, 2))
	m.up()
	m.run("dpkg", "--install", d.put(deb))
	m.untouched()
	d.uplinks(2)
	// The service that has found no configuration may not have ended yet: a start would then do nothing.
	m.run("systemctl", "restart", "replypath.service")
	m.symmetric()

	m.step("box", m.sandbox)
	m.step("nobody", m.unprivilegedUserIsRefused)
	m.step("endpoint", m.endpoint)
	m.step("kill", m.killed)
	m.step("restart", func() {
		m.carries(func() { m.run("systemctl", "restart", "replypath.service") })
	})
	m.step("upgrade", func() {
		before := m.pid()
		m.carries(func() { m.run("dpkg", "--install", d.put(nextDeb)) })
		if m.pid() == before {
			m.t.Error("the program before the upgrade still runs")
		}
	})
	for _, damage := range damages {
		m.step(damage.name, func() { m.repairs(damage) })
	}
	for _, backend := range []string{"nftables", "iptables"} {
		m.step("firewalld by "+backend, func() { m.firewalld(backend, true) })
	}
	m.step("firewalld beside a protected table", m.firewalldBesideProtection)
	m.step("networkd", m.networkdRestarts)
	m.off()

	m = boot(t, d, fresh(t, 2))
	m.triggerRestart(m.Uplinks[1])
	m.step("reboot", func() {
		m.up()
		m.prompt()
		m.repliesAtOnce()
	})
	m.cut()

	m = boot(t, d, fresh(t, 2))
	m.triggerRestart(m.Uplinks[1])
	m.step("power cut", func() {
		m.up()
		m.prompt()
		m.repliesAtOnce()
	})
	m.step("reinstallation", m.reinstallation)
	m.step("removal", m.removal)
	m.off()
}

// step runs a part of the test as a subtest.
func (m *machine) step(name string, do func()) {
	whole := m.t
	whole.Run(name, func(t *testing.T) {
		m.t = t
		do()
	})
	m.t = whole
}

func (m *machine) pid() string {
	return m.run("systemctl", "show", "--property=MainPID", "--value", "replypath.service")
}

// killed kills the service as a crash does: replies stay right, and it comes back.
func (m *machine) killed() {
	m.t.Helper()
	before := m.pid()
	m.carries(func() {
		m.run("systemctl", "kill", "--signal=KILL", "replypath.service")
		m.repliesAtOnce()
		m.await("return of the service", func() bool { now := m.pid(); return now != before && now != "0" })
		m.await("start of the service", func() bool {
			state, _ := m.try("systemctl", "is-active", "replypath.service")
			return state == "active"
		})
	})
}

// carries wants connections by the second uplink to carry on while something is done, in both families.
func (m *machine) carries(do func()) {
	m.t.Helper()
	u := m.Uplinks[1]
	var streams []*world.Stream
	for _, a := range u.Addrs() {
		to := u.Port4(port)
		if a.Is6() {
			to = u.Port6(port)
		}
		s, err := m.Client.Stream(world.Request{Kind: world.KindTCP, To: to, Timeout: bootTime})
		if err != nil {
			m.t.Fatalf("%v\n%s", err, m.log())
		}
		streams = append(streams, s)
	}
	do()
	soon, stop := context.WithTimeout(m.t.Context(), bootTime)
	defer stop()
	for _, s := range streams {
		if err := s.Await(soon, 1<<20); err != nil {
			m.t.Errorf("a connection is lost: %v\n%s", err, m.log())
		}
		if c := s.Stop(); c.Err != nil {
			m.t.Errorf("a connection is lost: %v\n%s", c.Err, m.log())
		}
	}
	m.repliesAtOnce()
}

// reinstallation removes the package, keeps the configuration, and installs it again: the service runs as before. What the
// operator has disabled or masked stays as it is through upgrades and reinstallations.
func (m *machine) reinstallation() {
	m.t.Helper()
	const unit = "replypath.service"
	want := func(active, enabled string) {
		m.t.Helper()
		for command, want := range map[string]string{"is-active": active, "is-enabled": enabled} {
			if state, _ := m.try("systemctl", command, unit); strings.TrimSpace(state) != want {
				m.t.Errorf("systemctl %s says %q, want %q", command, state, want)
			}
		}
	}
	reinstall := func() {
		m.t.Helper()
		m.run("dpkg", "--remove", "replypath")
		m.untouched()
		m.run("dpkg", "--install", m.disk.put(deb))
	}
	reinstall()
	want("active", "enabled")
	m.symmetric()
	m.run("systemctl", "disable", "--now", unit)
	m.run("dpkg", "--install", m.disk.put(nextDeb))
	want("inactive", "disabled")
	reinstall()
	want("inactive", "disabled")
	m.run("systemctl", "mask", unit)
	m.run("dpkg", "--install", m.disk.put(nextDeb))
	reinstall()
	want("inactive", "masked")
	m.run("systemctl", "unmask", unit)
	m.run("systemctl", "enable", "--now", unit)
	m.run("systemctl", "stop", unit)
	m.run("dpkg", "--install", m.disk.put(nextDeb))
	want("inactive", "enabled")
	m.run("systemctl", "start", unit)
	m.run("dpkg", "--install", m.disk.put(deb))
	want("active", "enabled")
	m.symmetric()
}

// removal takes the package away, and then what it leaves behind.
func (m *machine) removal() {
	m.t.Helper()
	m.run("dpkg", "--remove", "replypath")
	m.untouched()
	m.there(true, "/etc/replypath/uplinks.d/isp0.toml", "/etc/replypath/replypath.toml.sample")
	m.there(false, "/run/replypath", "/usr/bin/replypath", "/etc/iproute2/rt_tables.d/replypath.conf")
	if err := m.request(m.Uplinks[1], time.Second); err == nil {
		m.t.Error("the replies are symmetric without it: this test shows nothing")
	}
	m.run("dpkg", "--purge", "replypath")
	m.there(false, "/etc/replypath", "/etc/systemd/system/multi-user.target.wants/replypath.service", "/etc/iproute2/rt_protos.d/replypath.conf")
	if left := m.run("find", "/etc", "/run", "/usr", "/var/lib", "-xdev", "-name", "*replypath*", "-not", "-path", "/run/log/*"); left != "" {
		m.t.Errorf("left behind:\n%s", left)
	}
	if state := m.run("systemctl", "is-system-running"); strings.TrimSpace(state) != "running" {
		m.t.Errorf("the system is %s", state)
	}
}
