package test

import (
	"os/exec"
	"testing"
)

// TestTheUnitIsABox wants what systemd itself thinks of the service's exposure, which it gives from 0 to 10.
func TestTheUnitIsABox(t *testing.T) {
	cmd := exec.Command("systemd-analyze", "security", "--offline=true", "--no-pager", "--threshold=25", "../etc/replypath.service")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("more than 2.5: %v\n%s", err, out)
	}
}
