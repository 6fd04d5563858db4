//go:build boot

package boot

import (
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"replypath/test/world"
)

// line is what is known of a line of shell in the README.
type line struct {
	says   string // a pattern
	status int
	asks   bool             // it asks at a terminal, and is told yes
	before func(m *machine) // what it needs
	after  func(m *machine) // what must be so then
}

// lines are those of the README, without their comments. One that is not here has nobody who runs it.
var lines = map[string]line{
	"make packages": {says: `replypath_.*\.deb`},
	"sudo apt install ./.build/packages/replypath_*_amd64.deb":           {says: `Setting up replypath`, after: (*machine).untouched},
	"sudo replypath init --write":                                        {says: `wrote /etc/replypath/replypath\.toml`},
	"sudo replypath check":                                               {says: `replypath\.toml: ok, 2 uplinks`},
	"sudo replypath plan":                                                {says: `default via 192\.0\.2\.1 dev eth1 .*table 8202`, status: 3, after: (*machine).untouched},
	"sudo systemctl restart replypath":                                   {after: func(m *machine) { m.symmetric() }},
	"replypath status":                                                   {before: (*machine).well, says: `(?s)in sync since.*eth0 .* up .*eth1 .* up .* shown`},
	"replypath explain 203.0.113.10":                                     {says: `leaves by eth0, the uplink eth0, as the table main says`},
	"replypath explain 203.0.113.10 --from 192.0.2.2 --mark 0x200":       {says: `leaves by eth1, the uplink eth1, as its mark 0x200 says`},
	"replypath explain 192.0.2.2 --in eth1 --from 203.0.113.10":          {says: `(?s)source check: lets it in.*for this host itself`},
	"sudo replypath explain --flow tcp 203.0.113.10:50000 192.0.2.2:443": {before: (*machine).open, says: `(?s)0x200.*leaves by eth1`},
	"sudo replypath explain --listen :1194/udp":                          {before: (*machine).listen, says: `(?s)dnsmasq.*asked at 192\.0\.2\.2 by eth1.*answered from 192\.0\.2\.2 by eth1`},
	"sudo replypath doctor":                                              {says: `nothing would break the reply path`},
	"sudo replypath doctor --fix":                                        {before: (*machine).spoil, asks: true, says: `(?s)networkd-foreign.*done: .*undo: `, after: (*machine).mended},
	"sudo apt purge replypath":                                           {asks: true, says: `(?s)continue\?.*Purging configuration files`, after: (*machine).purged},
}

// TestTheREADMEIsTyped types all the README's blocks of shell on one machine, in their order.
func TestTheREADMEIsTyped(t *testing.T) {
	d := newDisk(t)
	d.networkd()
	text, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	m := boot(t, d, fresh(t, d, 2))
	m.up()
	d.Must("mkdir", "-p", "/root/.build/packages")
	m.run("mv", d.put(deb), "/root/.build/packages")
	typed := 0
	for _, block := range regexp.MustCompile("(?ms)^```sh\n(.*?)^```$").FindAllStringSubmatch(string(text), -1) {
		for _, whole := range strings.Split(strings.TrimSpace(block[1]), "\n") {
			command, _, _ := strings.Cut(whole, " # ")
			l, known := lines[strings.TrimSpace(command)]
			if !known {
				t.Errorf("nobody knows what this line of the README does: %s", whole)
				continue
			}
			typed++
			m.step(strings.TrimSpace(command), func() { m.enter(whole, l) })
		}
	}
	if typed != len(lines) {
		t.Errorf("%d lines were typed, of %d that are known", typed, len(lines))
	}
	m.off()
}

// enter types a line of the README as it stands there. The machine has no sudo, is not always amd64, and has the packages
// that make test-boot has made.
func (m *machine) enter(whole string, l line) {
	m.t.Helper()
	if l.before != nil {
		l.before(m)
	}
	_, arch, _ := strings.Cut(strings.TrimSuffix(filepath.Base(deb), ".deb"), "-1_")
	shell := `sudo() { "$@"; }; make() { ls .build/packages/*.deb; }; cd /root; ` + strings.Replace(whole, "_amd64", "_"+arch, 1)
	args := []string{"sh", "-c", shell}
	if l.asks {
		args = []string{"sh", "-c", `echo y | script --quiet --return --command "$0" /dev/null`, shell}
	}
	said, err := m.try(args...)
	if status := exitStatus(m.t, err); status != l.status || !regexp.MustCompile(l.says).MatchString(said) {
		m.t.Errorf("%s\n%s\n(exit status %d) want exit status %d and %s", whole, said, status, l.status, l.says)
	}
	if l.after != nil {
		l.after(m)
	}
}

// exitStatus is that of a command which could be run.
func exitStatus(t *testing.T, err error) int {
	t.Helper()
	exit, is := err.(*exec.ExitError)
	switch {
	case is:
		return exit.ExitCode()
	case err != nil:
		t.Fatal(err)
	}
	return 0
}

// well waits until all is well, and shown to be.
func (m *machine) well() {
	m.t.Helper()
	m.shown()
	m.await("status that is well", func() bool { _, err := m.try("replypath", "status"); return err == nil })
}

// open opens the connection that the README speaks of.
func (m *machine) open() {
	m.t.Helper()
	m.Gateway.ServeTCP(443)
	q := world.Question{Kind: world.AskTCP, From: netip.AddrPortFrom(m.Client4, 50000), To: m.Uplinks[1].Port4(443), Timeout: bootTime}
	if _, err := m.Client.Connect(q, 1); err != nil {
		m.t.Fatal(err)
	}
}

// listen has a server listen on any address that asks at which one it was asked.
func (m *machine) listen() {
	m.t.Helper()
	m.run("systemd-run", "--quiet", "--service-type=forking", "dnsmasq", "--conf-file=/dev/null", "--port=1194", "--no-resolv")
}

// spoil takes away what keeps systemd-networkd from our rules.
func (m *machine) spoil() {
	m.t.Helper()
	m.run("mv", "/usr/lib/systemd/networkd.conf.d/replypath.conf", "/root")
}

// mended wants that to have been put right.
func (m *machine) mended() {
	m.t.Helper()
	if dropIn := m.run("cat", "/etc/systemd/networkd.conf.d/replypath.conf"); dropIn != m.run("cat", "/root/replypath.conf") {
		m.t.Errorf("the drop-in: %s", dropIn)
	}
	m.run("mv", "/root/replypath.conf", "/usr/lib/systemd/networkd.conf.d/replypath.conf")
}

// purged wants nothing of ours to be left.
func (m *machine) purged() {
	m.t.Helper()
	m.untouched()
	m.there(false, "/etc/replypath", "/run/replypath", "/usr/bin/replypath")
	if err := m.ask(m.Uplinks[1], time.Second); err == nil {
		m.t.Error("the replies are symmetric without it: this test shows nothing")
	}
}
