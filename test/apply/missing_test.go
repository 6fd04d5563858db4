package apply

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"replypath/test/box"
	"replypath/test/world"
)

// The commands find their matches and targets in a folder, so that one without devgroup is what a stripped package is.
func TestMissingIptablesExtensionIsNamed(t *testing.T) {
	t.Parallel()
	box.EachBackend(t, func(t *testing.T, backend string) {
		b := box.New(t, world.TwoISPs(t), backend)
		box.LegacyTable(b.Gateway)
		for extension, words := range map[string][]string{
			"libxt_devgroup.so": {"match devgroup", "xt_devgroup", "modprobe"},
			"libxt_connmark.so": {"match connmark", "xt_connmark"},
			"libxt_CONNMARK.so": {"target CONNMARK", "xt_connmark"},
		} {
			b.Env = append(os.Environ(), "XTABLES_LIBDIR="+box.ExtensionsWithout(t, extension))
			wantRefused(t, b, b.Run, []string{"apply"}, words...)
		}
	})
}

func TestMissingKernelModuleIsNamed(t *testing.T) {
	t.Parallel()
	box.EachBackend(t, func(t *testing.T, backend string) {
		b := box.New(t, world.TwoISPs(t), backend)
		box.LegacyTable(b.Gateway)
		ts := box.NewWrappers(t)
		output := map[string]string{"": box.NftLacks, "-nft": box.NftLacks, "-legacy": box.LegacyLacks}
		for backend, text := range output {
			for _, base := range []string{"iptables", "ip6tables"} {
				ts.Replace(base+backend+"-restore", fmt.Sprintf(`case $1 in --version) exec "$real" "$@";; esac
text=$(cat)
case $text in *devgroup*) printf '%s' >&2; exit 4;; esac
printf '%%s\n' "$text" | "$real" "$@"`, text))
			}
		}
		b.Env = []string{"PATH=" + ts.Dir + ":" + os.Getenv("PATH")}
		wantRefused(t, b, b.Run, []string{"apply"}, "match devgroup", "module xt_devgroup", "modprobe")
	})
}

// A backend that cannot be read may hold our chains: flush does not leave them, and they do not move to the other backend.
func TestFailingSaveCommandIsReported(t *testing.T) {
	t.Parallel()
	b := box.New(t, world.TwoISPs(t))
	b.Apply()
	for _, command := range []string{"iptables", "ip6tables"} {
		// Foreign rules are in both backends: the save command decides which one is ours.
		for _, backend := range []string{"-nft", "-legacy"} {
			b.Gateway.Run(command+backend, "-w", "-A", "FORWARD", "-i", "lan0", "-j", "ACCEPT")
		}
		ts := box.NewWrappers(t)
		for _, backend := range []string{"", "-nft"} {
			ts.Replace(command+backend+"-save", "echo out of memory >&2; exit 1")
		}
		b.Env = []string{"PATH=" + ts.Dir + ":" + os.Getenv("PATH")}
		wantRefused(t, b, b.Run, []string{"plan", "apply", "flush"}, command, "list the rules", "out of memory")
	}
}

// Some versions of iptables end a line with a space. Their output is read when a foreign rule is before our jump.
func TestTrailingSpaceOfIptablesIsIgnored(t *testing.T) {
	t.Parallel()
	b := box.New(t, world.TwoISPs(t))
	b.Apply()
	for _, f := range []int{4, 6} {
		b.Iptables(f, "-w", "-t", "mangle", "-I", "PREROUTING", "-i", "lan0", "-j", "MARK", "--set-xmark", "0x1/0x1")
	}
	ts := box.NewWrappers(t)
	for _, command := range []string{"iptables", "iptables-nft", "ip6tables", "ip6tables-nft"} {
		ts.Replace(command, `"$real" "$@" | sed 's/$/ /'`)
	}
	b.Env = []string{"PATH=" + ts.Dir + ":" + os.Getenv("PATH")}
	b.Must(0, "plan")
	// plan also lists the rules of other programs, in full.
	calls := slices.DeleteFunc(ts.Listings(), func(call string) bool { return strings.Contains(call, "-save") })
	if len(calls) != 2 {
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
			box.EachBackend(t, func(t *testing.T, backend string) {
				b := box.New(t, world.TwoISPs(t), backend)
				b.Configure(b.Uplinks[0])
				b.Apply()
				b.Configure(b.Uplinks...)
				ts := box.NewWrappers(t)
				for _, command := range []string{"iptables", "ip6tables", "iptables-nft", "iptables-legacy", "ip6tables-nft", "ip6tables-legacy"} {
					ts.Replace(command+"-restore", `case $1 in --version) exec "$real" "$@";; esac; `+failingRestore(way))
				}
				b.Env = []string{"PATH=" + ts.Dir + ":" + os.Getenv("PATH")}
				wantRefused(t, b, b.Run, []string{"apply"}, "tables")
			})
		})
	}
}

// Foreign changes of our jumps are not restored.
func TestFailedApplyOnADamagedHostIsUndone(t *testing.T) {
	t.Parallel()
	box.EachBackend(t, func(t *testing.T, backend string) {
		b := box.New(t, world.TwoISPs(t), backend)
		b.Configure(b.Uplinks[0])
		b.Apply()
		for _, family := range []int{4, 6} {
			b.Iptables(family, "-w", "-t", "mangle", "-A", "OUTPUT", "-j", "REPLYPATH-OUT")
			b.Iptables(family, "-w", "-t", "mangle", "-I", "PREROUTING", "-i", "lan0", "-j", "ACCEPT")
		}
		if backend == box.Backends[0] {
			loadByNFT(b)
		}
		ts := box.NewWrappers(t)
		for _, command := range []string{"ip6tables", "ip6tables-nft", "ip6tables-legacy"} {
			ts.Replace(command+"-restore", `case $1 in --version) exec "$real" "$@";; esac; exit 1`)
		}
		b.Env = []string{"PATH=" + ts.Dir + ":" + os.Getenv("PATH")}
		b.Configure(b.Uplinks...)
		if r := b.Must(1, "apply"); strings.Contains(r.Stderr, "could not be put back") {
			t.Errorf("one family's command fails: %s", r)
		}
		b.Env = nil
		b.Apply()
	})
}

// What the command did before it was killed is not repeated.
func TestRestoreKilledAfterItsWorkIsNotRepeated(t *testing.T) {
	t.Parallel()
	box.EachFirewall(t, func(t *testing.T, backend string) {
		b := box.New(t, world.TwoISPs(t), backend)
		ts := box.NewWrappers(t)
		for _, command := range []string{"iptables", "ip6tables", "iptables-legacy", "ip6tables-legacy"} {
			ts.Replace(command+"-restore", `"$real" "$@"; case $1 in --version) ;; *) kill -9 $$;; esac`)
		}
		b.Env = []string{"PATH=" + ts.Dir + ":" + os.Getenv("PATH")}
		b.Apply()
	})
}

// failingRestore fails only for additions, so that the removal of our chains works.
func failingRestore(way string) string {
	if !strings.Contains(way, "$real") {
		return way
	}
	return `text=$(cat); case $text in *"-A "*) printf '%s\n' "$text" | { ` + way + `; };; *) printf '%s\n' "$text" | "$real" "$@";; esac`
}
