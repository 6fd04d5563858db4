package outbound

import (
	"fmt"
	"path/filepath"
	"testing"

	"replypath/test/box"
)

// confined returns the value of the sysctl that confines the sources by a link.
func (g *gateway) confined(link string) string {
	return g.Gateway.Sysctl("net.ipv6.conf." + link + ".use_oif_addrs_only")
}

// wantConfined wants the sysctl of both uplinks to have the value, and that of the LAN to be untouched.
func (g *gateway) wantConfined(t *testing.T, when, want string) {
	t.Helper()
	if got := []string{g.confined("eth0"), g.confined("eth1"), g.confined("lan0")}; fmt.Sprint(got) != fmt.Sprint([]string{want, want, "0"}) {
		t.Errorf("%s: sources are confined: %s of eth0, eth1 and lan0", when, got)
	}
}

// Sources by uplinks are confined to the addresses of their links while IPv6 is translated, and only then: the value is restored when the
// configuration no longer wants it, by flush and from a snapshot, and repaired by the service.
func TestSourcesAreConfinedWhileIPv6IsTranslated(t *testing.T) {
	t.Parallel()
	g := newGateway(t, box.Backends[0], balanced(`[["isp0"], ["isp1"]]`)...)
	g.wantConfined(t, "before", "0")
	g.Apply()
	g.wantConfined(t, "with masquerade = both", "1")
	file := filepath.Join(g.Dir, "snapshot")
	g.Must(0, "snapshot", file)
	g.outbound(`default = "isp0"`, `masquerade = "ipv4"`)
	g.Apply()
	g.wantConfined(t, "with masquerade = ipv4", "0")
	g.outbound(balanced(`[["isp0"], ["isp1"]]`)...)
	g.Apply()
	g.Must(0, "flush")
	g.wantConfined(t, "after a flush", "0")
	g.Must(0, "restore", file)
	g.wantConfined(t, "restored from the snapshot", "1")
	s := g.Start()
	g.AwaitInSync()
	g.Gateway.SetSysctl("net.ipv6.conf.eth1.use_oif_addrs_only", "0")
	box.Eventually(t, box.EventualTimeout, "the service repairs it", func() bool { return g.confined("eth1") == "1" })
	s.Stop()
	g.Must(0, "flush")
	g.wantConfined(t, "after the last flush", "0")
}
