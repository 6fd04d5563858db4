package doctor

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"replypath/test/box"
	"replypath/test/world"
)

const dropIn = "/etc/systemd/networkd.conf.d/replypath.conf"

func TestDoctorFixKeepsTheOperatorsDropIn(t *testing.T) {
	t.Parallel()
	b := box.New(t, world.TwoISPs(t))
	b.Apply()
	b.WriteRootFile("/run/systemd/netif/links/2", "")
	const theirs = "[Network]\nManageForeignRoutes=yes\n"
	b.WriteRootFile(dropIn, theirs)
	if r := b.Run("doctor", "--fix", "--yes", "--root", b.Root()); r.Status != 3 || !strings.Contains(r.Stderr, "no finding can be fixed") {
		t.Errorf("it is the operator's: %s", r)
	}
	if text, err := os.ReadFile(filepath.Join(b.Root(), dropIn)); err != nil || string(text) != theirs {
		t.Errorf("it holds %q (%v)", text, err)
	}
}

func TestDoctorFixAppliesSafeFixesAndPrintsUndo(t *testing.T) {
	t.Parallel()
	b := box.New(t, world.TwoISPs(t))
	b.Apply()
	b.WriteRootFile("/run/systemd/netif/links/2", "")
	b.Gateway.SetSysctl("net.ipv4.conf.all.src_valid_mark", "1")
	written := filepath.Join(b.Root(), dropIn)
	if r := b.Run("doctor", "--fix", "--root", b.Root()); r.Status != 1 || !strings.Contains(r.Stderr, "--yes") || b.Gateway.Sysctl("net.ipv4.conf.all.src_valid_mark") != "1" {
		t.Errorf("without a terminal: %s", r)
	}
	if _, err := os.Stat(written); err == nil {
		t.Error("the drop-in was written without confirmation")
	}
	r := b.Run("doctor", "--fix", "--yes", "--root", b.Root())
	for _, w := range []string{"done: " + writeDropIn, "undo: rm ", "systemctl restart systemd-networkd", "undo: sysctl -w net.ipv4.conf.all.src_valid_mark=1"} {
		if !strings.Contains(r.Stderr, w) {
			t.Errorf("it does not say %q: %s", w, r)
		}
	}
	want, err := os.ReadFile("../../etc/networkd.conf.d/replypath.conf")
	if got, _ := os.ReadFile(written); err != nil || string(got) != string(want) {
		t.Errorf("the drop-in holds %q (%v)", got, err)
	}
	if r.Status != 0 || b.Gateway.Sysctl("net.ipv4.conf.all.src_valid_mark") != "0" || b.Gateway.Sysctl("net.ipv4.conf.eth1.src_valid_mark") != "1" {
		t.Errorf("not all is well after it: %s", r)
	}
}

// fixable makes both of the conditions that can be fixed.
func fixable(b *box.Box) {
	b.T.Helper()
	b.WriteRootFile("/run/systemd/netif/links/2", "")
	b.Gateway.SetSysctl(validMark, "1")
}

const (
	validMark   = "net.ipv4.conf.all.src_valid_mark"
	validMarkTo = "sysctl -w " + validMark + "=0"
	writeDropIn = "write " + dropIn
)

// One fix that cannot be done keeps none of the others back, wherever it stands, and what was not done is done next time.
func TestDoctorFixContinuesAfterAFailure(t *testing.T) {
	t.Parallel()
	sealed := "mount --bind /proc/sys /proc/sys; mount -o remount,ro,bind /proc/sys"
	for name, c := range map[string]struct {
		script       string
		inTheWay     bool // of the drop-in
		done, failed []string
	}{
		"the first": {sealed, false, []string{writeDropIn}, []string{validMarkTo + ": "}},
		"the last":  {":", true, []string{validMarkTo}, []string{writeDropIn + ": "}},
		"all":       {sealed, true, nil, []string{validMarkTo + ": ", writeDropIn + ": "}},
		"none":      {":", false, []string{validMarkTo, writeDropIn}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := box.New(t, world.TwoISPs(t))
			b.Apply()
			fixable(b)
			folder := filepath.Dir(filepath.Join(b.Root(), dropIn))
			if c.inTheWay {
				b.WriteRootFile(filepath.Dir(dropIn), "a file where the folder should be")
			}
			fix := []string{"doctor", "--fix", "--yes", "--root", b.Root()}
			r := b.InMountNamespace(c.script)(fix...)
			if first, last := strings.Index(r.Stderr, "will do: "+validMarkTo), strings.Index(r.Stderr, "will do: "+writeDropIn); first < 0 || last < first {
				t.Errorf("not both were proposed in that order: %s", r)
			}
			if got := strings.Count(r.Stderr, "done: "); got != len(c.done) || (r.Status == 1) != (len(c.failed) > 0) {
				t.Errorf("%d were done, want %d: %s", got, len(c.done), r)
			}
			for _, line := range c.done {
				if !strings.Contains(r.Stderr, "done: "+line+"\n") {
					t.Errorf("not done: %s: %s", line, r)
				}
			}
			for _, words := range c.failed {
				if !strings.Contains(r.Stderr, words) {
					t.Errorf("it does not say that %q failed: %s", words, r)
				}
			}
			if c.inTheWay {
				if err := os.Remove(folder); err != nil {
					t.Fatal(err)
				}
			}
			if r := b.Run(fix...); r.Status != 0 || strings.Count(r.Stderr, "done: ") != len(c.failed) {
				t.Errorf("the rest, then: %s", r)
			}
			nothingToFix(b, fix)
		})
	}
}

// nothingToFix wants doctor --fix to change nothing once all is fixed.
func nothingToFix(b *box.Box, fix []string) {
	b.T.Helper()
	path := filepath.Join(b.Root(), dropIn)
	before, err := os.Stat(path)
	if err != nil {
		b.T.Fatal(err)
	}
	r := b.Must(0, fix...)
	if !strings.Contains(r.Stderr, "no finding can be fixed") || strings.Contains(r.Stderr, "will do") {
		b.T.Errorf("once more: %s", r)
	}
	after, err := os.Stat(path)
	if err != nil || !os.SameFile(before, after) || !after.ModTime().Equal(before.ModTime()) || b.Gateway.Sysctl(validMark) != "0" {
		b.T.Errorf("once more: it was written again, or undone (%v)", err)
	}
}
