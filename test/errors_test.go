package test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"replypath/test/world"
)

// wantRefused wants each command to fail with these words in what it says, and to have changed nothing.
func (b *box) wantRefused(t *testing.T, run func(args ...string) result, commands []string, words ...string) {
	t.Helper()
	before := takeSnapshot(b.Gateway)
	for _, command := range commands {
		r := run(command)
		if r.status != 1 {
			t.Errorf("%s: want exit 1, got %s", command, r)
		}
		for _, word := range words {
			if !strings.Contains(r.stderr, word) {
				t.Errorf("%s does not say %q: %s", command, word, r)
			}
		}
		before.wantSame(t, command, b.Gateway)
	}
}

func TestWithoutPrivilege(t *testing.T) {
	t.Parallel()
	b := newBox(t, world.TwoISPs(t))
	nobody := func(args ...string) result {
		cmd := b.command(t.Context(), args...)
		cmd.SysProcAttr.Credential = &syscall.Credential{Uid: 65534, Gid: 65534}
		return b.runCommand(cmd)
	}
	for path, mode := range map[string]os.FileMode{b.config: 0o644, b.dir: 0o755, filepath.Dir(b.dir): 0o755} {
		if err := os.Chmod(path, mode); err != nil {
			t.Fatal(err)
		}
	}
	b.wantRefused(t, nobody, []string{"plan", "apply", "flush"}, "need root", "run it with sudo")
	for _, command := range []string{"check", "init", "version"} {
		if r := nobody(command); r.status != 0 {
			t.Errorf("%s needs no privilege: %s", command, r)
		}
	}
	b.apply()
	b.wantRefused(t, nobody, []string{"plan", "apply", "flush"}, "need root", "run it with sudo")
	b.start()
	for _, command := range []string{"status", "reload"} {
		r := nobody(command)
		if r.status != 1 || strings.Contains(r.stderr, "does not run") || !strings.Contains(r.stderr, "run it with sudo") {
			t.Errorf("beside a service that runs: %s: %s", command, r)
		}
	}
}

// inMountNamespace runs the program in a mount namespace of its own, after these lines of shell.
func (b *box) inMountNamespace(script string) func(args ...string) result {
	return func(args ...string) result {
		inner := b.command(b.t.Context(), args...)
		shell := []string{"-m", "sh", "-ec", script + "\n" + `exec "$@"`, "sh", binary}
		return b.runCommand(b.Gateway.Command(b.t.Context(), "unshare", append(shell, inner.Args[1:]...)...))
	}
}

// withCommandsIn hides all of the host's iptables commands but those in the folder.
func (b *box) withCommandsIn(dir string) func(args ...string) result {
	return b.inMountNamespace(fmt.Sprintf(`for place in /usr/sbin /sbin /usr/local/sbin; do
	test -L $place || mount --bind %s $place
done
PATH=/usr/bin:/bin:%[1]s`, dir))
}

func TestWithoutIptables(t *testing.T) {
	t.Parallel()
	cases := []struct {
		name     string
		commands []string
		setting  string
		words    []string
	}{
		{"none at all", nil, `backend = "auto"`, []string{"iptables: not found", "install the package iptables"}},
		{"only those of IPv4", []string{"iptables-nft"}, `backend = "auto"`, []string{"IPv6", "ip6tables", "install the package iptables"}},
		{"only legacy, and nft is asked for", []string{"iptables-legacy", "ip6tables-legacy"}, `backend = "nft"`,
			[]string{`"nft"`, "install the package iptables", `backend = "auto"`}},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			b := newBox(t, world.TwoISPs(t), c.setting)
			b.wantRefused(t, b.withCommandsIn(commandFolder(t, c.commands...)), []string{"plan", "apply"}, c.words...)
		})
	}
	t.Run("those with a backend in their name are enough", func(t *testing.T) {
		for _, backend := range []string{"nft", "legacy"} {
			b := newBox(t, world.TwoISPs(t))
			run := b.withCommandsIn(commandFolder(t, "iptables-"+backend, "ip6tables-"+backend))
			if r := run("apply"); r.status != 0 {
				t.Errorf("only %s: %s", backend, r)
			}
			if r := run("plan"); r.status != 0 {
				t.Errorf("only %s: %s", backend, r)
			}
		}
	})
	t.Run("one without its restore command", func(t *testing.T) {
		b := newBox(t, world.TwoISPs(t))
		dir := commandFolder(t, "iptables-nft", "ip6tables-nft")
		os.Remove(filepath.Join(dir, "iptables-nft-restore"))
		b.wantRefused(t, b.withCommandsIn(dir), []string{"plan", "apply"}, "iptables-nft-restore: not found", "install the package iptables")
	})
	t.Run("one whose restore command is of the other backend", func(t *testing.T) {
		b := newBox(t, world.TwoISPs(t))
		dir := commandFolder(t, "iptables", "ip6tables")
		os.Remove(filepath.Join(dir, "iptables-restore"))
		os.Symlink(filepath.Join(dir, "xtables-legacy-multi"), filepath.Join(dir, "iptables-restore"))
		b.wantRefused(t, b.withCommandsIn(dir), []string{"plan", "apply"}, "iptables-restore", "legacy", "nft", "update-alternatives --config iptables")
	})
}

// commandFolder is a folder with only these commands, and those that restore and save for them.
func commandFolder(t *testing.T, names ...string) string {
	t.Helper()
	dir := t.TempDir()
	for _, multi := range []string{"xtables-nft-multi", "xtables-legacy-multi"} {
		// A copy, as what it is copied from is hidden when it is needed.
		text, err := os.ReadFile(filepath.Join("/usr/sbin", multi))
		if err == nil {
			err = os.WriteFile(filepath.Join(dir, multi), text, 0o755)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range names {
		multi := "xtables-nft-multi"
		if strings.Contains(name, "legacy") {
			multi = "xtables-legacy-multi"
		}
		for _, kind := range []string{"", "-restore", "-save"} {
			if err := os.Symlink(filepath.Join(dir, multi), filepath.Join(dir, name+kind)); err != nil {
				t.Fatal(err)
			}
		}
	}
	return dir
}

func TestReadOnlySysctls(t *testing.T) {
	t.Parallel()
	eachBackend(t, func(t *testing.T, backend string) {
		b := newBox(t, world.TwoISPs(t), backend)
		legacyTable(b.Gateway)
		b.wantRefused(t, b.inMountNamespace("mount --bind /proc/sys /proc/sys; mount -o remount,ro,bind /proc/sys"), []string{"apply"},
			"sysctl -w", "read-only file system")
	})
}

func TestUnusableStateIsRefused(t *testing.T) {
	t.Parallel()
	b := newBox(t, world.TwoISPs(t))
	state := filepath.Join(b.dir, "state")
	if err := os.WriteFile(state, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	b.wantRefused(t, b.run, []string{"apply", "flush"}, state, "not a directory")
	os.Remove(state)
	b.apply()
	found, err := filepath.Glob(filepath.Join(state, "found-*.json"))
	if err != nil || len(found) != 1 {
		t.Fatalf("files of values found: %v, %v", found, err)
	}
	for _, garbage := range []string{"", "garbage", `{"tunables": 7}`, `[{"name": "net.ipv4.ip_forward"}]`} {
		if err := os.WriteFile(found[0], []byte(garbage), 0o600); err != nil {
			t.Fatal(err)
		}
		b.wantRefused(t, b.run, []string{"plan", "apply", "flush"}, found[0], "delete it")
	}
}

func TestFailedOutputExitsWithOne(t *testing.T) {
	t.Parallel()
	b := newBox(t, world.TwoISPs(t))
	for _, command := range [][]string{{"plan"}, {"plan", "--json"}} {
		if r := b.inMountNamespace("exec >/dev/full")(command...); r.status != 1 || !strings.Contains(r.stderr, "no space left on device") {
			t.Errorf("%s: %s", command, r)
		}
	}
}
