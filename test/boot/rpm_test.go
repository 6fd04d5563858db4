//go:build boot

package boot

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// TestRPM installs, upgrades and removes the .rpm where nothing runs: what its scripts do to a running host is what
// those of the .deb do, which are the same.
func TestRPM(t *testing.T) {
	d := newDisk(t)
	run := func(args ...string) {
		t.Helper()
		if out, err := exec.Command("rpm", append([]string{"--root", d.Root, "--nodeps"}, args...)...).CombinedOutput(); err != nil {
			t.Fatalf("rpm %v: %v\n%s", args, err, out)
		}
	}
	wanted := filepath.Join(d.Root, "/etc/systemd/system/multi-user.target.wants/replypath.service")
	run("--install", rpm)
	if _, err := os.Lstat(wanted); err != nil {
		t.Errorf("it is not enabled: %v", err)
	}
	if got := d.Must("systemctl", "disable", "replypath"); got == "" {
		t.Error("it was not enabled")
	}
	run("--upgrade", "--force", rpm)
	if _, err := os.Lstat(wanted); err == nil {
		t.Error("an upgrade enables what the operator has disabled")
	}
	d.Must("systemctl", "enable", "replypath")
	d.Write("/etc/replypath/uplinks.d/mine.toml", "id = 1\n")
	run("--erase", "replypath")
	for _, gone := range []string{wanted, d.Root + "/usr/bin/replypath", d.Root + "/usr/lib/systemd/system/replypath.service"} {
		if _, err := os.Lstat(gone); err == nil {
			t.Errorf("%s is left", gone)
		}
	}
	if _, err := os.Stat(d.Root + "/etc/replypath/uplinks.d/mine.toml"); err != nil {
		t.Errorf("the configuration is gone: %v", err)
	}
}
