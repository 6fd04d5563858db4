//go:build boot && qemu

package boot

import (
	"os"
	"strings"
	"testing"

	"replypath/test/world"
)

// modules are the tests of links and the like that are modules of Debian's kernel, as one program.
var modules = os.Getenv("REPLYPATH_MODULES")

// TestModules runs the tests of modules on a whole machine that has them: it makes its own worlds of namespaces.
func TestModules(t *testing.T) {
	d := wholeDisk(t)
	d.install(deb)
	program := d.put(modules)
	d.Must("chmod", "755", program)
	d.Must("systemctl", "disable", "--quiet", "replypath.service")
	d.reports("dmesg -n 1; cd /root; REPLYPATH_PROGRAM=/usr/bin/replypath " + program + " -test.v -test.timeout 30m -test.run Modules 2>&1; echo report: ended $?\n")
	m := newVM(t, d, world.New(t).Host("desk"))
	m.power()
	defer m.cut()
	m.wantConsole("report: ended")
	text, _ := os.ReadFile(m.console)
	if !strings.Contains(string(text), "report: ended 0") {
		t.Errorf("the console:\n%s", text)
	}
	for line := range strings.SplitSeq(string(text), "\n") {
		if strings.Contains(line, "--- PASS: ") {
			t.Log(strings.TrimSpace(line))
		}
	}
}
