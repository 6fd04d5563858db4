package apply

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"replypath/test/box"
	"replypath/test/world"
)

// wantRefused wants each command to fail with an error that holds the words, and to change nothing.
func wantRefused(t *testing.T, b *box.Box, run func(args ...string) box.Result, commands []string, words ...string) {
	t.Helper()
	before := box.TakeSnapshot(b.Gateway)
	for _, command := range commands {
		r := run(command)
		if r.Status != 1 {
			t.Errorf("%s: want exit 1, got %s", command, r)
		}
		for _, word := range words {
			if !strings.Contains(r.Stderr, word) {
				t.Errorf("%s does not say %q: %s", command, word, r)
			}
		}
		before.WantSame(t, command, b.Gateway)
	}
}

func TestWithoutPrivilege(t *testing.T) {
	t.Parallel()
	b := box.New(t, world.TwoISPs(t))
	nobody := func(args ...string) box.Result {
		cmd := b.Command(t.Context(), args...)
		cmd.SysProcAttr.Credential = &syscall.Credential{Uid: 65534, Gid: 65534}
		return b.RunCommand(cmd)
	}
	for path, mode := range map[string]os.FileMode{b.Config: 0o644, b.Dir: 0o755, filepath.Dir(b.Dir): 0o755} {
		if err := os.Chmod(path, mode); err != nil {
			t.Fatal(err)
		}
	}
	wantRefused(t, b, nobody, []string{"plan", "apply", "flush"}, "need root", "run it with sudo")
	for _, command := range []string{"check", "init", "version"} {
		if r := nobody(command); r.Status != 0 {
			t.Errorf("%s needs no privilege: %s", command, r)
		}
	}
	b.Apply()
	wantRefused(t, b, nobody, []string{"plan", "apply", "flush"}, "need root", "run it with sudo")
	b.Start()
	for _, command := range []string{"status", "reload"} {
		r := nobody(command)
		if r.Status != 1 || strings.Contains(r.Stderr, "does not run") || !strings.Contains(r.Stderr, "run it with sudo") {
			t.Errorf("beside a service that runs: %s: %s", command, r)
		}
	}
}

// A backend of iptables that is configured needs its commands; "auto" takes nftables then (TestHostWithoutIptables).
func TestWithoutIptables(t *testing.T) {
	t.Parallel()
	cases := []struct {
		name     string
		commands []string
		setting  string
		words    []string
	}{
		{"none at all, and nft is configured", nil, `backend = "nft"`, []string{"iptables", "not found", "install the package iptables"}},
		{"only those of IPv4, and nft is configured", []string{"iptables-nft"}, `backend = "nft"`, []string{"IPv6", "install the package iptables"}},
		{"only legacy, and nft is configured", []string{"iptables-legacy", "ip6tables-legacy"}, `backend = "nft"`,
			[]string{`"nft"`, "install the package iptables", `backend = "auto"`}},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			b := box.New(t, world.TwoISPs(t), c.setting)
			wantRefused(t, b, b.WithCommandsIn(box.CommandFolder(t, c.commands...)), []string{"plan", "apply"}, c.words...)
		})
	}
	t.Run("those with a backend in their name are enough", func(t *testing.T) {
		for _, backend := range []string{"nft", "legacy"} {
			b := box.New(t, world.TwoISPs(t))
			run := b.WithCommandsIn(box.CommandFolder(t, "iptables-"+backend, "ip6tables-"+backend))
			if r := run("apply"); r.Status != 0 {
				t.Errorf("only %s: %s", backend, r)
			}
			if r := run("plan"); r.Status != 0 {
				t.Errorf("only %s: %s", backend, r)
			}
		}
	})
	t.Run("one without its restore command", func(t *testing.T) {
		b := box.New(t, world.TwoISPs(t), `backend = "nft"`)
		dir := box.CommandFolder(t, "iptables-nft", "ip6tables-nft")
		os.Remove(filepath.Join(dir, "iptables-nft-restore"))
		wantRefused(t, b, b.WithCommandsIn(dir), []string{"plan", "apply"}, "iptables-nft-restore: not found", "install the package iptables")
	})
	t.Run("one whose restore command is of the other backend", func(t *testing.T) {
		b := box.New(t, world.TwoISPs(t))
		dir := box.CommandFolder(t, "iptables", "ip6tables")
		os.Remove(filepath.Join(dir, "iptables-restore"))
		os.Symlink(filepath.Join(dir, "xtables-legacy-multi"), filepath.Join(dir, "iptables-restore"))
		wantRefused(t, b, b.WithCommandsIn(dir), []string{"plan", "apply"}, "iptables-restore", "legacy", "nft", "update-alternatives --config iptables")
	})
}

func TestReadOnlySysctls(t *testing.T) {
	t.Parallel()
	box.EachFirewall(t, func(t *testing.T, backend string) {
		b := box.New(t, world.TwoISPs(t), backend)
		box.LegacyTable(b.Gateway)
		wantRefused(t, b, b.InMountNamespace("mount --bind /proc/sys /proc/sys; mount -o remount,ro,bind /proc/sys"), []string{"apply"},
			"sysctl -w", "read-only file system")
	})
}

func TestUnusableStateIsRefused(t *testing.T) {
	t.Parallel()
	b := box.New(t, world.TwoISPs(t))
	state := filepath.Join(b.Dir, "state")
	if err := os.WriteFile(state, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	wantRefused(t, b, b.Run, []string{"apply", "flush"}, state, "not a directory")
	os.Remove(state)
	b.Apply()
	found, err := filepath.Glob(filepath.Join(state, "found-*.json"))
	if err != nil || len(found) != 1 {
		t.Fatalf("files of values found: %v, %v", found, err)
	}
	for _, garbage := range []string{"", "garbage", `{"tunables": 7}`, `[{"name": "net.ipv4.ip_forward"}]`} {
		if err := os.WriteFile(found[0], []byte(garbage), 0o600); err != nil {
			t.Fatal(err)
		}
		wantRefused(t, b, b.Run, []string{"plan", "apply", "flush"}, found[0], "delete it")
	}
	os.Remove(found[0])
	wantFIFOsRefused(t, b, state)
}

// wantFIFOsRefused puts a FIFO in the place of each file of the state folder, with a configuration that needs it.
func wantFIFOsRefused(t *testing.T, b *box.Box, state string) {
	t.Helper()
	text, err := os.ReadFile(b.Config)
	if err != nil {
		t.Fatal(err)
	}
	first := b.Uplinks[0]
	anyRouter := strings.Replace(string(text), "[uplinks.isp1]\n", "[uplinks.isp1]\nrouters = \"any\"\n", 1)
	shared := string(text) + fmt.Sprintf("[uplinks.beside]\nid = 9\ninterface = %q\ngateway = %q\n", first.Link.Name, first.Router4.Next().Next())
	const remedy = ": not a regular file: remove it"
	run := func(command ...string) box.Result { return b.Run(strings.Fields(command[0])...) }
	for _, c := range []struct{ file, command, config string }{
		{"found", "plan", string(text)}, {"rollback", "apply", string(text)}, {"restore", "apply", string(text)}, {"confirmed", "apply --confirm 1m", string(text)},
		{"drained", "plan", string(text)}, {"found-routers", "apply", anyRouter}, {"macs", "apply", shared}, {"strays", "verify", string(text)},
	} {
		b.Write(c.config)
		path := filepath.Join(state, fmt.Sprintf("%s-%d.json", c.file, b.Gateway.NetnsCookie()))
		os.Remove(path)
		if err := syscall.Mkfifo(path, 0o600); err != nil {
			t.Fatal(err)
		}
		if c.command != "verify" {
			wantRefused(t, b, run, []string{c.command}, path+remedy)
		} else if r := b.Run(c.command); !strings.Contains(r.Stderr, "warning: ") || !strings.Contains(r.Stderr, path+remedy) {
			t.Errorf("verify does not say that it cannot read %s: %s", path, r)
		}
		os.Remove(path)
	}
}

func TestFailedOutputExitsWithOne(t *testing.T) {
	t.Parallel()
	b := box.New(t, world.TwoISPs(t))
	for _, command := range [][]string{{"plan"}, {"plan", "--json"}} {
		if r := b.InMountNamespace("exec >/dev/full")(command...); r.Status != 1 || !strings.Contains(r.Stderr, "no space left on device") {
			t.Errorf("%s: %s", command, r)
		}
	}
}
