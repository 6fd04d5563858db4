package world_test

import (
	"errors"
	"net/netip"
	"os/exec"
	"strings"
	"testing"

	"replypath/test/world"
)

func TestCommandsRunInTheHostAndAreKilledWithIt(t *testing.T) {
	var endless *world.Command
	t.Run("world", func(t *testing.T) {
		w := world.New(t)
		h := w.Host("h")
		h.SetSysctl("net.ipv4.conf.lo.rp_filter", "2")
		if got := h.Sysctl("net/ipv4/conf/lo/rp_filter"); got != "2" {
			t.Errorf("sysctl: %q", got)
		}
		if got := h.Run("cat", "/proc/sys/net/ipv4/conf/lo/rp_filter"); got != "2\n" {
			t.Errorf("cat: %q", got)
		}
		out, err := h.Command(t.Context(), "sh", "-c", "echo no; exit 4").CombinedOutput()
		if exit := (*exec.ExitError)(nil); !errors.As(err, &exit) || exit.ExitCode() != 4 || string(out) != "no\n" {
			t.Errorf("%q %v", out, err)
		}
		endless = h.Command(t.Context(), "sleep", "1000")
		if err := endless.Start(); err != nil {
			t.Fatal(err)
		}
	})
	if endless.ProcessState == nil {
		t.Error("the command outlives its world")
	}
}

func TestBridgesAndLinks(t *testing.T) {
	w := world.New(t)
	a, b, c := w.Host("a"), w.Host("b"), w.Host("c")
	linkA, portA := w.Join(a, "eth0", b, "port0")
	linkC, portC := w.Join(c, "eth0", b, "port1")
	b.Bridge("br0", portA, portC).Addr("198.18.5.1/24")
	linkA.Addr("198.18.5.2/24", "2001:db8:5::2/64")
	linkC.Addr("198.18.5.3/24", "2001:db8:5::3/64")
	for _, to := range []string{"198.18.5.1", "198.18.5.3", "2001:db8:5::3"} {
		if got := a.Ping(netip.MustParseAddr(to)); !got.OK {
			t.Error(to, got)
		}
	}
	bridge := b.Link("br0").Record()
	linkC.MTU(1400)
	linkC.Down()
	w.Settle()
	a.Ping(netip.MustParseAddr("198.18.5.1"))
	w.Settle()
	if len(bridge.Packets()) == 0 {
		t.Error("the bridge has seen nothing")
	}
	linkC.Up()
	linkA.Delete()
	w.Settle()
	if links := b.Run("ip", "-br", "link"); strings.Contains(links, "port0") {
		t.Error(links)
	}
}

func TestWorldsWithoutIPv6OrDefaultRoute(t *testing.T) {
	w := world.TwoISPs(t, world.Options{NoIPv6: true, NoDefault: true})
	if routes := w.Gateway.Run("ip", "-4", "route", "show", "default") + w.Gateway.Run("ip", "-6", "route", "show", "default"); routes != "" {
		t.Error(routes)
	}
	w.DefaultBy(w.Uplinks[1])
	if a := w.Client.Ping(w.Uplinks[1].Addr4); !a.OK {
		t.Error(a)
	}
	if addresses := w.Gateway.Run("ip", "-6", "addr", "show", "scope", "global"); addresses != "" {
		t.Error(addresses)
	}
}

func TestDelegatedPrefixReachesTheLAN(t *testing.T) {
	w := world.TwoISPs(t)
	w.LAN.ServeTCP(7001)
	w.Delegate(w.Uplinks[0], netip.MustParsePrefix("2001:db8:f::/64"))
	if a := w.Client.TCP(netip.AddrPortFrom(w.LAN6, 7001)); !a.OK || a.Host != "ln" {
		t.Error(a)
	}
}
