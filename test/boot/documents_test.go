//go:build boot

package boot

import (
	"net/netip"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"replypath/test/house"
	"replypath/test/world"
)

// line is the expected effect of a line of shell in the documents.
type line struct {
	output   string // a regular expression
	status   int
	confirms bool             // it asks for confirmation at a terminal, and gets yes
	before   func(m *machine) // creates its preconditions
	after    func(m *machine) // checks its effect
}

// lines has every line of shell of the documents, without its comment.
var lines = map[string]line{
	"make packages": {output: `replypath_.*\.deb`},
	"sudo apt install ./.build/packages/replypath_*_amd64.deb":           {output: `Setting up replypath`, after: (*machine).untouched},
	"sudo replypath init --write":                                        {output: `wrote /etc/replypath/replypath\.toml`},
	"sudo replypath check":                                               {output: `replypath\.toml: ok, 2 uplinks`},
	"sudo replypath plan":                                                {output: `default via 192\.0\.2\.1 dev eth1 .*table 8202`, status: 3, after: (*machine).untouched},
	"sudo systemctl restart replypath":                                   {after: func(m *machine) { m.symmetric() }},
	"replypath status":                                                   {before: (*machine).well, output: `(?s)in sync since.*eth0 .* up .*eth1 .* up .* shown`},
	"replypath explain 203.0.113.10":                                     {output: `leaves by eth0 \(uplink eth0\), selected by table main`},
	"replypath explain 203.0.113.10 --from 192.0.2.2 --mark 0x200":       {output: `leaves by eth1 \(uplink eth1\), selected by its mark 0x200`},
	"replypath explain 192.0.2.2 --in eth1 --from 203.0.113.10":          {output: `(?s)source check: passed.*delivered to this host`},
	"sudo replypath explain --flow tcp 203.0.113.10:50000 192.0.2.2:443": {before: (*machine).open, output: `(?s)0x200.*leaves by eth1`},
	"sudo replypath explain --listen :1194/udp":                          {before: (*machine).listen, output: `(?s)dnsmasq.*request to 192\.0\.2\.2 by eth1.*reply from 192\.0\.2\.2 by eth1`},
	"sudo replypath doctor":                                              {output: `nothing would break the reply path`},
	"sudo replypath doctor --fix":                                        {before: (*machine).breakRules, confirms: true, output: `(?s)networkd-foreign.*done: .*undo: `, after: (*machine).repaired},
	"sudo apt purge replypath":                                           {confirms: true, output: `(?s)continue\?.*Purging configuration files`, after: (*machine).purged},
}

// The commands of all documents work, typed in this order on one machine: those of the README up to its last block, which
// removes the program, those of etc/doc, and that last block.
func TestDocumentedCommandsWork(t *testing.T) {
	d := newDisk(t)
	d.networkd()
	m := boot(t, d, fresh(t, 2))
	m.up()
	d.Must("mkdir", "-p", "/root/.build/packages")
	m.run("mv", d.put(deb), "/root/.build/packages")
	typed := map[string]bool{}
	for _, block := range shellBlocks(t) {
		for _, whole := range strings.Split(strings.TrimSpace(block), "\n") {
			command, _, _ := strings.Cut(whole, " # ")
			command = strings.TrimSpace(command)
			l, known := lines[command]
			if !known {
				t.Errorf("no known effect of this line of the documents: %s", whole)
				continue
			}
			typed[command] = true
			m.step(command, func() { m.typeLine(whole, l) })
		}
	}
	for command := range lines {
		if !typed[command] {
			t.Errorf("no document has the line %s", command)
		}
	}
	m.off()
}

// shellBlocks returns the blocks of shell of all documents in the order in which they are typed.
func shellBlocks(t *testing.T) (all []string) {
	t.Helper()
	var last string
	for _, page := range house.Documents(t) {
		var blocks []string
		for _, m := range regexp.MustCompile("(?ms)^```sh\n(.*?)^```$").FindAllStringSubmatch(house.ReadDocument(t, page), -1) {
			blocks = append(blocks, m[1])
		}
		if page == house.README {
			last = blocks[len(blocks)-1]
			blocks = blocks[:len(blocks)-1]
		}
		all = append(all, blocks...)
	}
	return append(all, last)
}

// typeLine types a line of a document unchanged. The machine has no sudo, is not always amd64, and has the packages of make
// test-boot.
func (m *machine) typeLine(whole string, l line) {
	m.t.Helper()
	if l.before != nil {
		l.before(m)
	}
	_, arch, _ := strings.Cut(strings.TrimSuffix(filepath.Base(deb), ".deb"), "-1_")
	shell := `sudo() { "$@"; }; make() { ls .build/packages/*.deb; }; cd /root; ` + strings.Replace(whole, "_amd64", "_"+arch, 1)
	args := []string{"sh", "-c", shell}
	if l.confirms {
		args = []string{"sh", "-c", `echo y | script --quiet --return --command "$0" /dev/null`, shell}
	}
	output, err := m.try(args...)
	if status := exitStatus(m.t, err); status != l.status || !regexp.MustCompile(l.output).MatchString(output) {
		m.t.Errorf("%s\n%s\n(exit status %d) want exit status %d and %s", whole, output, status, l.status, l.output)
	}
	if l.after != nil {
		l.after(m)
	}
}

// exitStatus returns that of a command which could be run.
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
	q := world.Request{Kind: world.KindTCP, From: netip.AddrPortFrom(m.Client4, 50000), To: m.Uplinks[1].Port4(443), Timeout: bootTime}
	if _, err := m.Client.Connect(q, 1); err != nil {
		m.t.Fatal(err)
	}
}

// listen starts a server on the wildcard address that enables IP_PKTINFO.
func (m *machine) listen() {
	m.t.Helper()
	m.run("systemd-run", "--quiet", "--service-type=forking", "dnsmasq", "--conf-file=/dev/null", "--port=1194", "--no-resolv")
}

// breakRules takes away what keeps systemd-networkd from our rules.
func (m *machine) breakRules() {
	m.t.Helper()
	m.run("mv", "/usr/lib/systemd/networkd.conf.d/replypath.conf", "/root")
}

// repaired wants that to have been put right.
func (m *machine) repaired() {
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
	if err := m.request(m.Uplinks[1], time.Second); err == nil {
		m.t.Error("the replies are symmetric without it: this test shows nothing")
	}
}
