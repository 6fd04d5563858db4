//go:build boot && qemu

package boot

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"replypath/test/world"
)

// modules is the folder of the test programs for what modules of Debian's kernels make, and recentImage that of a Debian with a recent one.
var modules, recentImage = os.Getenv("REPLYPATH_MODULES"), os.Getenv("REPLYPATH_RECENT_IMAGE")

// TestModules runs the tests of modules on a whole machine that has them: it makes its own worlds of namespaces.
func TestModules(t *testing.T) { runOnMachine(t, wholeDisk(t), "^TestModules") }

// TestRecentKernel runs those that also need TCX (Linux 6.6), or PPP, which kernels for clouds lack.
func TestRecentKernel(t *testing.T) { runOnMachine(t, diskOf(t, recentImage), "^TestRecentKernel") }

// runOnMachine runs the tests of all test programs that match, with the package, on a whole machine.
func runOnMachine(t *testing.T, d *disk, match string) {
	d.install(deb)
	programs, err := filepath.Glob(filepath.Join(modules, "*.test"))
	if err != nil || len(programs) == 0 {
		t.Fatalf("no test programs in %s: %v", modules, err)
	}
	script := "dmesg -n 1; cd /root; status=0; export REPLYPATH_PROGRAM=/usr/bin/replypath\n"
	for _, file := range programs {
		program := d.put(file)
		d.Must("chmod", "755", program)
		script += program + " -test.v -test.timeout 60m -test.run " + match + " 2>&1 || status=1\n"
	}
	d.Must("systemctl", "disable", "--quiet", "replypath.service")
	d.reports(script + "echo report: ended $status\n")
	m := newVM(t, d, world.New(t).Host("desk"))
	m.cpus = "1" // with two, a kernel that changes its instructions (static keys: TCX, bonds) sometimes meets those of before
	m.power()
	defer m.cut()
	if !m.awaitConsole("report: ended", moduleTime) {
		t.Error("the tests have not ended")
	}
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

// moduleTime is enough for all tests on a machine without KVM that others use as well.
const moduleTime = 80 * time.Minute
