package outbound

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"replypath/test/box"

	"golang.org/x/sys/unix"
)

// New connections take another uplink while the service waits for the firewall that another program has locked. Open ones follow once
// the firewall is as it should be.
func TestFailoverDoesNotWaitForTheFirewall(t *testing.T) {
	t.Parallel()
	box.EachBackend(t, func(t *testing.T, backend string) {
		g := newGateway(t, backend)
		commands := box.NewWrappers(t)
		lock := filepath.Join(t.TempDir(), "lock")
		for _, name := range []string{"iptables", "ip6tables", "iptables-nft", "ip6tables-nft", "iptables-legacy", "ip6tables-legacy"} {
			commands.Replace(name+"-restore", "if test -p "+lock+"; then read _ < "+lock+"; fi\nexec \"$real\" \"$@\"")
		}
		g.UseWrappers(commands)
		g.probeServer()
		g.outbound(balanced(`[["isp0"], ["isp1"]]`)...)
		s := g.startProbed()
		g.awaitUplink(t, g.LAN, 0)
		held := g.hold(t, g.LAN, 5)
		if err := unix.Mkfifo(lock, 0o600); err != nil {
			t.Fatal(err)
		}
		restores := func() (n int) {
			for _, call := range commands.Calls() {
				if strings.Contains(call, "-restore ") && !strings.Contains(call, "--version") {
					n++
				}
			}
			return n
		}
		restores()
		g.HarmChains(4, "", "-F REPLYPATH-PIN")
		box.Eventually(t, box.EventualTimeout, "the service waits for the firewall", func() bool { return restores() > 0 })
		box.SetBlackHole(g.Uplinks[0], true)
		g.awaitUplink(t, g.LAN, 1)
		if n := restores(); n > 0 {
			t.Errorf("the service waited for the firewall %d times more: it gave up, or did not wait", n)
		}
		if n := g.pinned(4, 0); n < 5 {
			t.Errorf("%d of 5 open connections are pinned to the uplink that failed: the others would begin anew without the firewall", n)
		}
		unlock(t, lock)
		g.awaitUnpinned(t, 0)
		wantEnded(t, "a host inside", held)
		g.wantNoForeign(t)
		s.Stop()
	})
}

// unlock ends the wait of all programs that open the named pipe to read from it (fifo(7)), and removes the pipe.
func unlock(t *testing.T, pipe string) {
	t.Helper()
	writer, err := os.OpenFile(pipe, os.O_RDWR, 0) // which waits for nobody
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(pipe); err != nil {
		t.Fatal(err)
	}
	if err := writer.Close(); err != nil {
		t.Fatal(err)
	}
}
