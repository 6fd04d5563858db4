package box

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"replypath/test/world"
)

// InMountNamespace runs the program in a mount namespace of its own, after these lines of shell.
func (b *Box) InMountNamespace(script string) func(args ...string) Result {
	return func(args ...string) Result {
		inner := b.Command(b.T.Context(), args...)
		shell := []string{"-m", "sh", "-ec", script + "\n" + `exec "$@"`, "sh", Binary}
		return b.RunCommand(b.Gateway.Command(b.T.Context(), "unshare", append(shell, inner.Args[1:]...)...))
	}
}

// WithCommandsIn hides all of the host's iptables commands but those in the folder.
func (b *Box) WithCommandsIn(dir string) func(args ...string) Result {
	return b.InMountNamespace(fmt.Sprintf(`for place in /usr/sbin /sbin /usr/local/sbin; do
	test -L $place || mount --bind %s $place
done
PATH=/usr/bin:/bin:%[1]s`, dir))
}

// CommandFolder returns a folder with only these commands, and those that restore and save for them.
func CommandFolder(t *testing.T, names ...string) string {
	t.Helper()
	dir := t.TempDir()
	for _, multi := range []string{"xtables-nft-multi", "xtables-legacy-multi"} {
		// A copy, as what it is copied from is hidden when it is needed.
		text, err := os.ReadFile(filepath.Join("/usr/sbin", multi))
		if err != nil {
			t.Fatal(err)
		}
		world.WriteProgram(t, filepath.Join(dir, multi), text, 0o755)
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

// ExtensionsWithout returns a folder with all of iptables' extensions but one.
func ExtensionsWithout(t *testing.T, extension string) string {
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

// The output of the commands when the kernel lacks a match that they know.
const (
	NftLacks    = `Warning: Extension devgroup revision 0 not supported, missing kernel module?\niptables-nft-restore v1.8.9 (nf_tables): \nline 3: RULE_APPEND failed (No such file or directory): rule in chain REPLYPATH-PRE\n`
	LegacyLacks = `Warning: Extension devgroup revision 0 not supported, missing kernel module?\niptables-restore: line 4 failed\n`
)
