package test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"replypath/test/world"
)

// The commands find their matches and targets in a folder, so that one without devgroup is what a stripped package is.
func TestMissingIptablesExtensionIsNamed(t *testing.T) {
	t.Parallel()
	eachBackend(t, func(t *testing.T, backend string) {
		b := newBox(t, world.TwoISPs(t), backend)
		legacyTable(b.Gateway)
		for extension, words := range map[string][]string{
			"libxt_devgroup.so": {"match devgroup", "xt_devgroup", "modprobe"},
			"libxt_connmark.so": {"match connmark", "xt_connmark"},
			"libxt_CONNMARK.so": {"target CONNMARK", "xt_connmark"},
		} {
			b.env = append(os.Environ(), "XTABLES_LIBDIR="+extensionsWithout(t, extension))
			b.wantRefused(t, b.run, []string{"apply"}, words...)
		}
	})
}

// extensionsWithout is a folder with all of iptables' extensions but one.
func extensionsWithout(t *testing.T, extension string) string {
	t.Helper()
	all, err := filepath.Glob("/usr/lib*/*/xtables/lib*.so")
	if err != nil || len(all) == 0 {
		t.Fatalf("no extensions of iptables: %v", err)
	}
	dir := t.TempDir()
	for _, path := range all {
		if filepath.Base(path) == extension {
			continue
		}
		if err := os.Symlink(path, filepath.Join(dir, filepath.Base(path))); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// What the commands say, word by word, when the kernel lacks what they have.
const (
	nftLacks    = `Warning: Extension devgroup revision 0 not supported, missing kernel module?\niptables-nft-restore v1.8.9 (nf_tables): \nline 3: RULE_APPEND failed (No such file or directory): rule in chain REPLYPATH-PRE\n`
	legacyLacks = `Warning: Extension devgroup revision 0 not supported, missing kernel module?\niptables-restore: line 4 failed\n`
)

func TestMissingKernelModuleIsNamed(t *testing.T) {
	t.Parallel()
	eachBackend(t, func(t *testing.T, backend string) {
		b := newBox(t, world.TwoISPs(t), backend)
		legacyTable(b.Gateway)
		ts := newWrappers(t)
		output := map[string]string{"": nftLacks, "-nft": nftLacks, "-legacy": legacyLacks}
		for backend, text := range output {
			for _, base := range []string{"iptables", "ip6tables"} {
				ts.replace(base+backend+"-restore", fmt.Sprintf(`case $1 in --version) exec "$real" "$@";; esac
text=$(cat)
case $text in *devgroup*) printf '%s' >&2; exit 4;; esac
printf '%%s\n' "$text" | "$real" "$@"`, text))
			}
		}
		b.env = []string{"PATH=" + ts.dir + ":" + os.Getenv("PATH")}
		b.wantRefused(t, b.run, []string{"apply"}, "match devgroup", "module xt_devgroup", "modprobe")
	})
}

// A backend that cannot be read may hold chains of ours: neither does a flush leave them, nor do they move to the other.
func TestFailingSaveCommandIsReported(t *testing.T) {
	t.Parallel()
	b := newBox(t, world.TwoISPs(t))
	b.apply()
	for _, command := range []string{"iptables", "ip6tables"} {
		// Others have rules in both backends: which is ours hinges on what the save command shows.
		for _, backend := range []string{"-nft", "-legacy"} {
			b.Gateway.Run(command+backend, "-w", "-A", "FORWARD", "-i", "lan0", "-j", "ACCEPT")
		}
		ts := newWrappers(t)
		for _, backend := range []string{"", "-nft"} {
			ts.replace(command+backend+"-save", "echo out of memory >&2; exit 1")
		}
		b.env = []string{"PATH=" + ts.dir + ":" + os.Getenv("PATH")}
		b.wantRefused(t, b.run, []string{"plan", "apply", "flush"}, command, "list the rules", "out of memory")
	}
}

// Some versions of iptables end a line with a space. What is printed is read when a rule of others stands before ours.
func TestTrailingSpaceOfIptablesIsIgnored(t *testing.T) {
	t.Parallel()
	b := newBox(t, world.TwoISPs(t))
	b.apply()
	for _, f := range []int{4, 6} {
		b.iptables(f, "-w", "-t", "mangle", "-I", "PREROUTING", "-i", "lan0", "-j", "MARK", "--set-xmark", "0x1/0x1")
	}
	ts := newWrappers(t)
	for _, command := range []string{"iptables", "iptables-nft", "ip6tables", "ip6tables-nft"} {
		ts.replace(command, `"$real" "$@" | sed 's/$/ /'`)
	}
	b.env = []string{"PATH=" + ts.dir + ":" + os.Getenv("PATH")}
	b.must(0, "plan")
	if calls := ts.listings(); len(calls) != 2 {
		t.Errorf("%d listings are printed, for two families: %v", len(calls), calls)
	}
}

func TestFailingRestoreCommandIsReported(t *testing.T) {
	t.Parallel()
	ways := map[string]string{
		"killed at once":         "kill -9 $$",
		"fails without a word":   "exit 1",
		"lies":                   "cat >/dev/null; exit 0",
		"fails for one family":   `case $0 in *ip6*) exit 1;; esac; exec "$real" "$@"`,
		"fails with many words":  "echo iptables: Resource temporarily unavailable. >&2; exit 4",
		"fails for want of root": "echo 'iptables-restore: Could not fetch rule set generation id: Permission denied (you must be root)' >&2; exit 4",
	}
	for name, way := range ways {
		t.Run(name, func(t *testing.T) {
			eachBackend(t, func(t *testing.T, backend string) {
				b := newBox(t, world.TwoISPs(t), backend)
				b.configure(b.Uplinks[0])
				b.apply()
				b.configure(b.Uplinks...)
				ts := newWrappers(t)
				for _, command := range []string{"iptables", "ip6tables", "iptables-nft", "iptables-legacy", "ip6tables-nft", "ip6tables-legacy"} {
					ts.replace(command+"-restore", `case $1 in --version) exec "$real" "$@";; esac; `+failingRestore(way))
				}
				b.env = []string{"PATH=" + ts.dir + ":" + os.Getenv("PATH")}
				b.wantRefused(t, b.run, []string{"apply"}, "tables")
			})
		})
	}
}

// What somebody has done to our jumps is not put back.
func TestFailedApplyOnADamagedHostIsUndone(t *testing.T) {
	t.Parallel()
	eachBackend(t, func(t *testing.T, backend string) {
		b := newBox(t, world.TwoISPs(t), backend)
		b.configure(b.Uplinks[0])
		b.apply()
		for _, family := range []int{4, 6} {
			b.iptables(family, "-w", "-t", "mangle", "-A", "OUTPUT", "-j", "REPLYPATH-OUT")
			b.iptables(family, "-w", "-t", "mangle", "-I", "PREROUTING", "-i", "lan0", "-j", "ACCEPT")
		}
		if backend == backends[0] {
			b.loadByNFT()
		}
		ts := newWrappers(t)
		for _, command := range []string{"ip6tables", "ip6tables-nft", "ip6tables-legacy"} {
			ts.replace(command+"-restore", `case $1 in --version) exec "$real" "$@";; esac; exit 1`)
		}
		b.env = []string{"PATH=" + ts.dir + ":" + os.Getenv("PATH")}
		b.configure(b.Uplinks...)
		if r := b.must(1, "apply"); strings.Contains(r.stderr, "could not be put back") {
			t.Errorf("one family's command fails: %s", r)
		}
		b.env = nil
		b.apply()
	})
}

// What was done before the end is not asked for again.
func TestRestoreKilledAfterItsWorkIsNotRepeated(t *testing.T) {
	t.Parallel()
	eachBackend(t, func(t *testing.T, backend string) {
		b := newBox(t, world.TwoISPs(t), backend)
		ts := newWrappers(t)
		for _, command := range []string{"iptables", "ip6tables", "iptables-legacy", "ip6tables-legacy"} {
			ts.replace(command+"-restore", `"$real" "$@"; case $1 in --version) ;; *) kill -9 $$;; esac`)
		}
		b.env = []string{"PATH=" + ts.dir + ":" + os.Getenv("PATH")}
		b.apply()
	})
}

// failingRestore lets through what takes our chains up, so that it can be seen whether that is done.
func failingRestore(way string) string {
	if !strings.Contains(way, "$real") {
		return way
	}
	return `text=$(cat); case $text in *"-A "*) printf '%s\n' "$text" | { ` + way + `; };; *) printf '%s\n' "$text" | "$real" "$@";; esac`
}
