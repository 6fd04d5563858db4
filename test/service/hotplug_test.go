package service

import (
	"fmt"
	"testing"
	"time"

	"replypath/test/box"
	"replypath/test/world"

	"golang.org/x/sys/unix"
)

const gatewayAuto = `"auto"`

func TestHotpluggedUplinkIsSetUp(t *testing.T) {
	t.Parallel()
	b := box.New(t, box.Conditions{RPFilter: 1}.Build(t, 1, world.Options{}))
	b.Write(box.UplinkConfig(1, "eth0", gatewayAuto, "") + box.UplinkConfig(2, "usb0", `["192.0.2.1", "2001:db8:b::1"]`, ""))
	b.Start() // READY comes without it
	var took box.Durations
	for i := range 7 {
		b.Shell("ip link add usb0 type veth peer name far0", "ip link set far0 up", "ip link set usb0 up")
		b.Gateway.Run("ip", "addr", "add", fmt.Sprintf("192.0.2.%d/24", 10+i), "dev", "usb0")
		began := time.Now()
		b.AwaitTable(t, 4, 8202, fmt.Sprintf("default via 192.0.2.1 dev usb0 src 192.0.2.%d", 10+i), true)
		b.AwaitRuleText(t, 4, fmt.Sprintf("from 192.0.2.%d lookup 8202", 10+i), true)
		took = append(took, time.Since(began))
		b.AwaitTable(t, 6, 8202, "default via 2001:db8:b::1 dev usb0", true)
		box.Eventually(t, box.EventualTimeout, "its sysctl is set", func() bool { return b.Gateway.Sysctl("net.ipv4.conf.usb0.src_valid_mark") == "1" })
		switch i % 3 {
		case 0:
			b.Shell("ip link set usb0 name old0")
			b.AwaitRuleText(t, 4, fmt.Sprintf("from 192.0.2.%d lookup 8202", 10+i), false)
			box.Eventually(t, box.EventualTimeout, "the renamed link has its value back", func() bool { return b.Gateway.Sysctl("net.ipv4.conf.old0.src_valid_mark") == "0" })
			b.Shell("ip link del old0")
		default:
			b.Shell("ip link del usb0")
			b.AwaitRuleText(t, 4, "from 192.0.2.", false)
		}
		b.AwaitTable(t, 4, 8202, "unreachable default", true)
	}
	t.Logf("complete after its address: %s", took)
	b.AwaitInSync()
}

func TestTunnelNeedsNoDefaultRoute(t *testing.T) {
	t.Parallel()
	b := box.New(t, box.Conditions{RPFilter: 1}.Build(t, 1, world.Options{}))
	b.Write(box.UplinkConfig(1, "eth0", gatewayAuto, "") + box.UplinkConfig(2, "ppp0", gatewayAuto, ""))
	b.Start()
	for i := range 2 {
		peer := fmt.Sprintf("198.18.7.%d", i+2)
		b.Shell("ip tuntap add ppp0 mode tun", "ip link set ppp0 up", "ip addr add "+peer+" peer 198.18.7.1 dev ppp0")
		b.AwaitTable(t, 4, 8202, "default dev ppp0 scope link src "+peer, true)
		b.AwaitRuleText(t, 4, "from "+peer+" lookup 8202", true)
		b.Shell("ip link del ppp0")
		b.AwaitTable(t, 4, 8202, "default dev ppp0", false)
	}
	b.AwaitInSync()
}

func TestGatewayChangesAreFollowed(t *testing.T) {
	t.Parallel()
	b := box.New(t, box.Conditions{RPFilter: 1}.Build(t, 2, world.Options{}))
	b.Write(box.UplinkConfig(1, "eth0", gatewayAuto, "") + box.UplinkConfig(2, "eth1", gatewayAuto, ""))
	b.Start()
	l := b.StartMonitor()
	var took box.Durations
	for i := range 7 {
		four, six := fmt.Sprintf("192.0.2.%d", 20+i), fmt.Sprintf("fe80::%x", 0x20+i)
		b.Shell("ip route replace default via " + four + " dev eth1 metric 100 protocol dhcp")
		took = append(took, b.AwaitTable(t, 4, 8202, "default via "+four+" dev eth1", true))
		b.Shell("ip -6 route replace default via " + six + " dev eth1 metric 1500 protocol ra")
		took = append(took, b.AwaitTable(t, 6, 8202, "default via "+six+" dev eth1", true))
		b.AwaitInSync()
		for _, m := range l.Messages() {
			e := box.ParseEvent(t, m)
			if e.Kind == unix.RTM_DELROUTE && e.Table == 8202 || e.Kind == unix.RTM_DELRULE {
				t.Errorf("a new gateway is more than a replacement: %+v", e)
			}
		}
	}
	t.Logf("a gateway is followed in: %s", took)
	b.Shell("ip route del default via 192.0.2.26 dev eth1 metric 100", "ip -6 route del default via fe80::26 dev eth1 metric 1500")
	b.AwaitTable(t, 4, 8202, "via", false)
	b.AwaitTable(t, 6, 8202, "via", false)
	b.AwaitInSync()
}

func TestAddressesAndMTUAreFollowed(t *testing.T) {
	t.Parallel()
	b := box.New(t, box.Conditions{RPFilter: 1}.Build(t, 2, world.Options{}))
	b.Write(box.UplinkConfig(1, "eth0", gatewayAuto, "") + box.UplinkConfig(2, "eth1", `["192.0.2.1", "fe80::1"]`, ""))
	b.Start()
	b.Shell("ip addr add 192.0.2.50/24 dev eth1", "ip -6 addr add 2001:db8:b::50/64 dev eth1 nodad")
	b.AwaitRuleText(t, 4, "from 192.0.2.50 lookup 8202", true)
	b.AwaitRuleText(t, 6, "from 2001:db8:b::50 lookup 8202", true)
	b.Shell("sysctl -qw net.ipv4.conf.eth1.promote_secondaries=1", "ip addr del 192.0.2.2/24 dev eth1")
	b.AwaitRuleText(t, 4, "from 192.0.2.2 lookup 8202", false)
	b.AwaitTable(t, 4, 8202, "default via 192.0.2.1 dev eth1 src 192.0.2.50", true)
	b.Shell("ip addr del 192.0.2.50/24 dev eth1", "ip addr add 192.0.2.60/25 dev eth1")
	b.AwaitTable(t, 4, 8202, "192.0.2.0/25 dev eth1", true)
	b.AwaitTable(t, 4, 8202, "192.0.2.0/24", false)
	b.AwaitTable(t, 4, 8202, "default via 192.0.2.1 dev eth1 src 192.0.2.60", true)
	b.Shell("ip link set eth1 mtu 1400")
	b.AwaitInSync()
	b.Shell("ip link set eth1 mtu 1200") // below what IPv6 needs: the kernel takes IPv6 off the link
	b.AwaitRuleText(t, 6, "lookup 8202", true)
	b.AwaitInSync()
	b.Shell("ip link set eth1 mtu 1500", "ip -6 addr add 2001:db8:b::2/64 dev eth1 nodad")
	b.AwaitRuleText(t, 6, "from 2001:db8:b::2 lookup 8202", true)
	b.AwaitInSync()
	b.Shell("sysctl -qw net.ipv6.conf.eth1.disable_ipv6=1")
	b.AwaitInSync()
	b.AwaitTable(t, 6, 8201, "default via fe80::1 dev eth0", true)
}

func TestCarrierLossHoldsOrReleases(t *testing.T) {
	t.Parallel()
	for _, when := range []string{"hold", "release"} {
		b := box.New(t, box.Conditions{RPFilter: 1}.Build(t, 2, world.Options{}))
		b.Write(box.UplinkConfig(1, "eth0", gatewayAuto, "") + box.UplinkConfig(2, "eth1", `["192.0.2.1", "fe80::1"]`, fmt.Sprintf("when_down = %q", when)))
		b.Start()
		for range 7 { // more often than a repair is tolerated in a minute
			b.Uplinks[1].Wire.Down()
			b.AwaitTable(t, 4, 8202, "default via 192.0.2.1 dev eth1", when == "hold")
			b.AwaitTable(t, 4, 8202, "unreachable default", when == "hold")
			b.Uplinks[1].Wire.Up()
			b.AwaitTable(t, 4, 8202, "default via 192.0.2.1 dev eth1", true)
			b.AwaitTable(t, 6, 8202, "default via fe80::1 dev eth1", true)
		}
		b.AwaitInSync()
	}
}

func TestChangesOfOneUplinkDoNotTouchAnother(t *testing.T) {
	t.Parallel()
	b := box.New(t, box.Conditions{RPFilter: 1}.Build(t, 2, world.Options{}))
	// The capture table of a proof counts as a change of nftables too.
	b.Write("proof.every = \"off\"\n" + box.UplinkConfig(1, "eth0", gatewayAuto, "") + box.UplinkConfig(2, "eth1", `["192.0.2.1", "fe80::1"]`, ""))
	b.Start()
	generation := b.Generation()
	l := b.StartMonitor()
	var messages []string
	for range 3 {
		b.Uplinks[1].Wire.Down()
		b.AwaitInSync()
		b.Uplinks[1].Wire.Up()
		b.Shell("ip link set eth1 down", "ip addr flush dev eth1")
		b.AwaitInSync()
		b.Shell("ip link set eth1 name wan9")
		b.AwaitInSync()
		b.Shell("ip link set wan9 name eth1", "ip link set eth1 up", "ip addr add 192.0.2.2/24 dev eth1", "ip -6 addr add 2001:db8:b::2/64 dev eth1 nodad")
		b.AwaitInSync()
		messages = append(messages, l.Messages()...)
	}
	b.Shell("ip link del eth1")
	b.AwaitInSync()
	b.Shell("ip link add eth1 type veth peer name far0", "ip link set far0 up", "ip link set eth1 up", "ip addr add 192.0.2.2/24 dev eth1")
	b.AwaitInSync()
	messages = append(messages, l.Messages()...)
	if len(messages) < 20 {
		t.Errorf("deaf: %d messages", len(messages))
	}
	for _, m := range messages {
		e := box.ParseEvent(t, m)
		own := e.Table == 8202 || e.Priority == 3002 // the goto of the second uplink's address
		shared := (e.Kind == unix.RTM_NEWRULE || e.Kind == unix.RTM_DELRULE) && !own
		if e.Table == 8201 || shared {
			t.Errorf("an object of the other uplink changed: %+v", e)
		}
	}
	if now := b.Generation(); now != generation {
		t.Errorf("the chains changed %d times", now-generation)
	}
}

func TestUplinkWithoutIPv6IsReadyWithIPv4(t *testing.T) {
	t.Parallel()
	b := box.New(t, box.Conditions{RPFilter: 1}.Build(t, 2, world.Options{}))
	b.Gateway.SetSysctl("net.ipv6.conf.eth1.disable_ipv6", "1")
	b.Write(box.UplinkConfig(1, "eth0", gatewayAuto, "") + box.UplinkConfig(2, "eth1", `["192.0.2.1", "fe80::1"]`, ""))
	b.Start() // READY all the same
	b.AwaitTable(t, 6, 8201, "default via fe80::1 dev eth0", true)
	b.AwaitTable(t, 4, 8202, "default via 192.0.2.1 dev eth1", true)
}
