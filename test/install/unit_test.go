package install

import (
	"os/exec"
	"path/filepath"
	"testing"
)

// TestUnitIsSandboxed wants what systemd itself thinks of the service's exposure, which it gives from 0 to 10.
func TestUnitIsSandboxed(t *testing.T) {
	cmd := exec.Command("systemd-analyze", "security", "--offline=true", "--no-pager", "--threshold=25", "../../etc/replypath.service")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("more than 2.5: %v\n%s", err, out)
	}
}

func TestScriptsAreValidShell(t *testing.T) {
	scripts, _ := filepath.Glob("../../etc/package/p[ro]*")
	others, _ := filepath.Glob("../../etc/init.d/*")
	if len(scripts) != 4 || len(others) != 2 {
		t.Fatalf("%v, %v", scripts, others)
	}
	for _, script := range append(scripts, others...) {
		if out, err := exec.Command("sh", "-n", script).CombinedOutput(); err != nil {
			t.Errorf("%s: %v\n%s", script, err, out)
		}
	}
}
