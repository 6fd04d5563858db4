//go:build boot

package boot

import (
	"strings"
	"testing"

	"replypath/test/world"
)

// service is the path that the script is copied to, as its first lines describe.
const service = "/etc/init.d/replypath"

// openrc installs the package on a host whose first process is OpenRC's, and the script that comes with it.
func (d *disk) openrc() {
	d.t.Helper()
	d.Must("dpkg-deb", "--extract", d.put(deb), "/root/package") // the image leaves documentation out
	d.install(deb)
	d.Must("install", "-m", "755", "/root/package/usr/share/doc/replypath/replypath.openrc", service)
	// Those of Debian are made for an init that is not there.
	d.Must("find", "/etc/runlevels", "-type", "l", "-delete")
	d.Must("rc-update", "add", "replypath", "boot")
}

// started boots a machine with OpenRC in a world whose gateway has its addresses.
func started(t *testing.T, d *disk) *machine {
	t.Helper()
	w := world.ISPs(t, 2)
	serve(w)
	m := bootWith(t, d, w, openrc)
	m.await("end of the boot", func() bool {
		level, _ := m.try("cat", "/run/openrc/softlevel")
		return level == "default"
	})
	m.run("sysctl", "--quiet", "--load", "/etc/sysctl.d/90-strict.conf")
	m.run("nft", "--file", "/etc/nftables.conf")
	return m
}

// rc types a command for the service, and wants this exit status and these words.
func (m *machine) rc(status int, want string, args ...string) {
	m.t.Helper()
	output, err := m.try(append([]string{"rc-service", "replypath"}, args...)...)
	if got := exitStatus(m.t, err); got != status || !strings.Contains(output, want) {
		m.t.Errorf("rc-service replypath %v: exit status %d, %s\nwant %d, %q\n%s", args, got, output, status, want, m.log())
	}
}

// process returns the id of the service's process, and empty when none runs.
func (m *machine) process() string {
	id, _ := m.try("pgrep", "--exact", "replypath")
	return id
}

// replaced waits until another process has taken the place of that one.
func (m *machine) replaced(before string) {
	m.t.Helper()
	m.await("other process than "+before, func() bool { now := m.process(); return now != before && now != "" })
}

func TestOpenRC(t *testing.T) {
	d := newDisk(t)
	d.openrc()
	m := started(t, d)
	m.openrcStarts()
	m.openrcRestarts()
	m.step("stop", func() {
		m.carries(func() { m.rc(0, "", "stop") })
		m.rc(3, "status: stopped", "status")
		m.rc(0, "already stopped", "stop")
		if id := m.process(); id != "" {
			m.t.Errorf("the process %s runs", id)
		}
	})
	m.cut()

	m = started(t, d)
	m.step("boot", func() {
		m.symmetric()
		m.rc(0, "status: started", "status")
	})
	m.step("upgrade", func() {
		before := m.process()
		m.carries(func() { m.run("dpkg", "--install", d.put(nextDeb)) })
		m.replaced(before)
	})
	m.step("removal", func() {
		m.run("dpkg", "--remove", "replypath")
		m.untouched()
		if id := m.process(); id != "" {
			m.t.Errorf("the process %s runs", id)
		}
	})
	m.cut()
}

// openrcStarts starts the service without a configuration, and with one.
func (m *machine) openrcStarts() {
	d := m.disk
	m.step("without a configuration", func() {
		if !strings.Contains(m.consoleOutput(), "create one with replypath init --write") {
			m.t.Errorf("the boot said:\n%s", m.consoleOutput())
		}
		m.rc(0, "status: started", "status")
		m.rc(0, "", "stop")
		m.rc(0, "replypath init --write, then: rc-service replypath restart", "start")
		if id := m.process(); id != "" {
			m.t.Errorf("the process %s runs", id)
		}
		m.untouched()
	})
	m.step("configured", func() {
		d.static()
		m.rc(0, "", "restart")
		m.symmetric()
		m.rc(0, "status: started", "status")
		m.endpoint()
		if log := m.run("stat", "--format=%a %u", "/var/log/replypath.log"); log != "600 0" || !strings.Contains(m.log(), "level=INFO") {
			m.t.Errorf("the log (%s):\n%s", log, m.log())
		}
	})
}

// openrcRestarts wants connections to survive a crash and a restart, and a mistake to keep the running process.
func (m *machine) openrcRestarts() {
	d := m.disk
	m.step("crash", func() {
		before := m.process()
		m.carries(func() {
			m.run("pkill", "--signal", "KILL", "--exact", "replypath")
			m.replaced(before)
		})
	})
	m.step("restart", func() {
		before := m.process()
		m.carries(func() { m.rc(0, "", "restart") })
		m.replaced(before)
		m.endpoint()
	})
	m.step("reload", func() {
		d.Write("/etc/replypath/replypath.toml", "priority = 5000\n")
		m.rc(0, "", "reload")
		m.repliesAtOnce()
		if rules := m.run("ip", "rule"); !strings.Contains(rules, "5003:") || strings.Contains(rules, "2003:") {
			m.t.Errorf("after the reload:\n%s\n%s", rules, m.log())
		}
	})
	m.step("mistake", func() {
		before := m.process()
		d.Write("/etc/replypath/replypath.toml", "nonsense = 1\n")
		m.rc(2, "nonsense", "reload")
		m.rc(1, "nonsense", "restart")
		if after := m.process(); after != before {
			m.t.Errorf("the process was %s and is %q", before, after)
		}
		m.rc(0, "", "stop")
		m.rc(0, "", "start")
		m.symmetric()
		m.await("status that names the mistake and the saved configuration", func() bool { // the supervisor does not wait for the service
			output, err := m.try("replypath", "status")
			return exitStatus(m.t, err) == 3 && strings.Contains(strings.Join(strings.Fields(output), " "), "the last confirmed configuration is in force")
		})
		m.rc(0, "", "stop")
		m.run("mv", "/var/lib/replypath", "/root/saved")
		m.rc(1, "nonsense", "start")
		m.run("rm", "/etc/replypath/replypath.toml")
		m.rc(0, "", "start")
		m.symmetric()
	})
}

// static writes a configuration with explicit gateways.
func (d *disk) static() {
	d.t.Helper()
	d.Write("/etc/replypath/uplinks.d/isp0.toml", "id = 1\ninterface = \"eth0\"\ngateway = [\"198.51.100.1\", \"fe80::1\"]\n")
	d.Write("/etc/replypath/uplinks.d/isp1.toml", "id = 2\ninterface = \"eth1\"\ngateway = [\"192.0.2.1\", \"fe80::1\"]\n")
}
