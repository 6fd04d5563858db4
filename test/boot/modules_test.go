//go:build boot && qemu

package boot

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"replypath/test/world"
)

// modules is the folder of the test programs for links that are modules of Debian's kernel.
var modules = os.Getenv("REPLYPATH_MODULES")

// TestModules runs the tests of modules on a whole machine that has them: it makes its own worlds of namespaces.
func TestModules(t *testing.T) {
	d := wholeDisk(t)
	d.install(deb)
	programs, err := filepath.Glob(filepath.Join(modules, "*.test"))
	if err != nil || len(programs) == 0 {
		t.Fatalf("no test programs in %s: %v", modules, err)
	}
	script := "dmesg -n 1; cd /root; status=0; export REPLYPATH_PROGRAM=/usr/bin/replypath\n"
	for _, file := range programs {
		program := d.put(file)
		d.Must("chmod", "755", program)
		script += program + " -test.v -test.timeout 30m -test.run Modules 2>&1 || status=1\n"
	}
	d.Must("systemctl", "disable", "--quiet", "replypath.service")
	d.reports(script + "echo report: ended $status\n")
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
