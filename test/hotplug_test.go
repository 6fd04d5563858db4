package test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"replypath/test/world"

	"golang.org/x/sys/unix"
)

// promptTimeout bounds on any machine what should take 200 ms.
const promptTimeout = 2 * time.Second

// awaitTable waits until an uplink's table in a family has, or no longer has, what is written.
func (b *box) awaitTable(t *testing.T, family, table int, has string, wanted bool) time.Duration {
	t.Helper()
	var text string
	defer func() {
		if t.Failed() {
			t.Log(text)
		}
	}()
	return eventually(t, promptTimeout, fmt.Sprintf("table %d of IPv%d has %q: %t", table, family, has, wanted), func() bool {
		text = b.Gateway.Run("ip", fmt.Sprintf("-%d", family), "route", "show", "table", "all")
		found := false
		for line := range strings.Lines(text) {
			before, after, ours := strings.Cut(line, fmt.Sprintf(" table %d proto 82", table))
			found = found || ours && strings.Contains(before+after, has)
		}
		return found == wanted
	})
}

// awaitRuleText waits until the rules of a family have, or no longer have, what is written.
func (b *box) awaitRuleText(t *testing.T, family int, has string, wanted bool) time.Duration {
	t.Helper()
	return eventually(t, promptTimeout, fmt.Sprintf("IPv%d has the rule %q: %t", family, has, wanted), func() bool {
		return strings.Contains(b.Gateway.Run("ip", fmt.Sprintf("-%d", family), "rule"), has) == wanted
	})
}

// shell runs lines of shell on the gateway.
func (b *box) shell(lines ...string) {
	b.t.Helper()
	b.Gateway.Run("sh", "-ec", strings.Join(lines, "\n"))
}

// wan is an uplink's configuration.
func wan(id int, link, gateway, rest string) string {
	return fmt.Sprintf("[uplinks.wan%d]\nid = %d\ninterface = %q\ngateway = %s\n%s\n", id, id, link, gateway, rest)
}

const gatewayAuto = `"auto"`

func TestHotpluggedUplinkIsSetUp(t *testing.T) {
	t.Parallel()
	b := newBox(t, conditions{rpFilter: 1}.build(t, 1, world.Options{}))
	b.write(wan(1, "eth0", gatewayAuto, "") + wan(2, "usb0", `["192.0.2.1", "2001:db8:b::1"]`, ""))
	b.start() // READY comes without it
	var took durations
	for i := range 7 {
		b.shell("ip link add usb0 type veth peer name far0", "ip link set far0 up", "ip link set usb0 up")
		b.Gateway.Run("ip", "addr", "add", fmt.Sprintf("192.0.2.%d/24", 10+i), "dev", "usb0")
		began := time.Now()
		b.awaitTable(t, 4, 8202, fmt.Sprintf("default via 192.0.2.1 dev usb0 src 192.0.2.%d", 10+i), true)
		b.awaitRuleText(t, 4, fmt.Sprintf("from 192.0.2.%d lookup 8202", 10+i), true)
		took = append(took, time.Since(began))
		b.awaitTable(t, 6, 8202, "default via 2001:db8:b::1 dev usb0", true)
		eventually(t, promptTimeout, "its sysctl is set", func() bool { return b.Gateway.Sysctl("net.ipv4.conf.usb0.src_valid_mark") == "1" })
		switch i % 3 {
		case 0:
			b.shell("ip link set usb0 name old0")
			b.awaitRuleText(t, 4, fmt.Sprintf("from 192.0.2.%d lookup 8202", 10+i), false)
			eventually(t, promptTimeout, "the renamed link has its value back", func() bool { return b.Gateway.Sysctl("net.ipv4.conf.old0.src_valid_mark") == "0" })
			b.shell("ip link del old0")
		default:
			b.shell("ip link del usb0")
			b.awaitRuleText(t, 4, "from 192.0.2.", false)
		}
		b.awaitTable(t, 4, 8202, "unreachable default", true)
	}
	t.Logf("complete after its address: %s", took)
	if took.percentile(50) > promptTimeout {
		t.Error("too late")
	}
	b.awaitInSync()
}

func TestTunnelNeedsNoDefaultRoute(t *testing.T) {
	t.Parallel()
	b := newBox(t, conditions{rpFilter: 1}.build(t, 1, world.Options{}))
	b.write(wan(1, "eth0", gatewayAuto, "") + wan(2, "ppp0", gatewayAuto, ""))
	b.start()
	for i := range 2 {
		peer := fmt.Sprintf("198.18.7.%d", i+2)
		b.shell("ip tuntap add ppp0 mode tun", "ip link set ppp0 up", "ip addr add "+peer+" peer 198.18.7.1 dev ppp0")
		b.awaitTable(t, 4, 8202, "default dev ppp0 scope link src "+peer, true)
		b.awaitRuleText(t, 4, "from "+peer+" lookup 8202", true)
		b.shell("ip link del ppp0")
		b.awaitTable(t, 4, 8202, "default dev ppp0", false)
	}
	b.awaitInSync()
}

func TestGatewayChangesAreFollowed(t *testing.T) {
	t.Parallel()
	b := newBox(t, conditions{rpFilter: 1}.build(t, 2, world.Options{}))
	b.write(wan(1, "eth0", gatewayAuto, "") + wan(2, "eth1", gatewayAuto, ""))
	b.start()
	l := b.startMonitor()
	var took durations
	for i := range 7 {
		four, six := fmt.Sprintf("192.0.2.%d", 20+i), fmt.Sprintf("fe80::%x", 0x20+i)
		b.shell("ip route replace default via " + four + " dev eth1 metric 100 protocol dhcp")
		took = append(took, b.awaitTable(t, 4, 8202, "default via "+four+" dev eth1", true))
		b.shell("ip -6 route replace default via " + six + " dev eth1 metric 1500 protocol ra")
		took = append(took, b.awaitTable(t, 6, 8202, "default via "+six+" dev eth1", true))
		b.awaitInSync()
		for _, m := range l.messages() {
			e := parseEvent(t, m)
			if e.kind == unix.RTM_DELROUTE && e.table == 8202 || e.kind == unix.RTM_DELRULE {
				t.Errorf("a new gateway is more than a replacement: %+v", e)
			}
		}
	}
	t.Logf("a gateway is followed in: %s", took)
	b.shell("ip route del default via 192.0.2.26 dev eth1 metric 100", "ip -6 route del default via fe80::26 dev eth1 metric 1500")
	b.awaitTable(t, 4, 8202, "via", false)
	b.awaitTable(t, 6, 8202, "via", false)
	b.awaitInSync()
}

func TestAddressesAndMTUAreFollowed(t *testing.T) {
	t.Parallel()
	b := newBox(t, conditions{rpFilter: 1}.build(t, 2, world.Options{}))
	b.write(wan(1, "eth0", gatewayAuto, "") + wan(2, "eth1", `["192.0.2.1", "fe80::1"]`, ""))
	b.start()
	b.shell("ip addr add 192.0.2.50/24 dev eth1", "ip -6 addr add 2001:db8:b::50/64 dev eth1 nodad")
	b.awaitRuleText(t, 4, "from 192.0.2.50 lookup 8202", true)
	b.awaitRuleText(t, 6, "from 2001:db8:b::50 lookup 8202", true)
	b.shell("sysctl -qw net.ipv4.conf.eth1.promote_secondaries=1", "ip addr del 192.0.2.2/24 dev eth1")
	b.awaitRuleText(t, 4, "from 192.0.2.2 lookup 8202", false)
	b.awaitTable(t, 4, 8202, "default via 192.0.2.1 dev eth1 src 192.0.2.50", true)
	b.shell("ip addr del 192.0.2.50/24 dev eth1", "ip addr add 192.0.2.60/25 dev eth1")
	b.awaitTable(t, 4, 8202, "192.0.2.0/25 dev eth1", true)
	b.awaitTable(t, 4, 8202, "192.0.2.0/24", false)
	b.awaitTable(t, 4, 8202, "default via 192.0.2.1 dev eth1 src 192.0.2.60", true)
	b.shell("ip link set eth1 mtu 1400")
	b.awaitInSync()
	b.shell("ip link set eth1 mtu 1200") // below what IPv6 needs: the kernel takes IPv6 off the link
	b.awaitRuleText(t, 6, "lookup 8202", true)
	b.awaitInSync()
	b.shell("ip link set eth1 mtu 1500", "ip -6 addr add 2001:db8:b::2/64 dev eth1 nodad")
	b.awaitRuleText(t, 6, "from 2001:db8:b::2 lookup 8202", true)
	b.awaitInSync()
	b.shell("sysctl -qw net.ipv6.conf.eth1.disable_ipv6=1")
	b.awaitInSync()
	b.awaitTable(t, 6, 8201, "default via fe80::1 dev eth0", true)
}

func TestCarrierLossHoldsOrReleases(t *testing.T) {
	t.Parallel()
	for _, when := range []string{"hold", "release"} {
		b := newBox(t, conditions{rpFilter: 1}.build(t, 2, world.Options{}))
		b.write(wan(1, "eth0", gatewayAuto, "") + wan(2, "eth1", `["192.0.2.1", "fe80::1"]`, fmt.Sprintf("when_down = %q", when)))
		b.start()
		for range 7 { // more often than a repair is tolerated in a minute
			b.Uplinks[1].Wire.Down()
			b.awaitTable(t, 4, 8202, "default via 192.0.2.1 dev eth1", when == "hold")
			b.awaitTable(t, 4, 8202, "unreachable default", when == "hold")
			b.Uplinks[1].Wire.Up()
			b.awaitTable(t, 4, 8202, "default via 192.0.2.1 dev eth1", true)
			b.awaitTable(t, 6, 8202, "default via fe80::1 dev eth1", true)
		}
		b.awaitInSync()
	}
}

func TestChangesOfOneUplinkDoNotTouchAnother(t *testing.T) {
	t.Parallel()
	b := newBox(t, conditions{rpFilter: 1}.build(t, 2, world.Options{}))
	// The trap of a proof is a table of its own, which counts as a change of nftables too.
	b.write("proof.every = \"off\"\n" + wan(1, "eth0", gatewayAuto, "") + wan(2, "eth1", `["192.0.2.1", "fe80::1"]`, ""))
	b.start()
	generation := b.generation()
	l := b.startMonitor()
	var heard []string
	for range 3 {
		b.Uplinks[1].Wire.Down()
		b.awaitInSync()
		b.Uplinks[1].Wire.Up()
		b.shell("ip link set eth1 down", "ip addr flush dev eth1")
		b.awaitInSync()
		b.shell("ip link set eth1 name wan9")
		b.awaitInSync()
		b.shell("ip link set wan9 name eth1", "ip link set eth1 up", "ip addr add 192.0.2.2/24 dev eth1", "ip -6 addr add 2001:db8:b::2/64 dev eth1 nodad")
		b.awaitInSync()
		heard = append(heard, l.messages()...)
	}
	b.shell("ip link del eth1")
	b.awaitInSync()
	b.shell("ip link add eth1 type veth peer name far0", "ip link set far0 up", "ip link set eth1 up", "ip addr add 192.0.2.2/24 dev eth1")
	b.awaitInSync()
	heard = append(heard, l.messages()...)
	if len(heard) < 20 {
		t.Errorf("deaf: %d messages", len(heard))
	}
	for _, m := range heard {
		e := parseEvent(t, m)
		shared := (e.kind == unix.RTM_NEWRULE || e.kind == unix.RTM_DELRULE) && e.table != 8202
		if e.table == 8201 || shared {
			t.Errorf("the other uplink hears of it: %+v", e)
		}
	}
	if now := b.generation(); now != generation {
		t.Errorf("the chains changed %d times", now-generation)
	}
}

func TestUplinkWithoutIPv6IsReadyWithIPv4(t *testing.T) {
	t.Parallel()
	b := newBox(t, conditions{rpFilter: 1}.build(t, 2, world.Options{}))
	b.Gateway.SetSysctl("net.ipv6.conf.eth1.disable_ipv6", "1")
	b.write(wan(1, "eth0", gatewayAuto, "") + wan(2, "eth1", `["192.0.2.1", "fe80::1"]`, ""))
	b.start() // READY all the same
	b.awaitTable(t, 6, 8201, "default via fe80::1 dev eth0", true)
	b.awaitTable(t, 4, 8202, "default via 192.0.2.1 dev eth1", true)
}
