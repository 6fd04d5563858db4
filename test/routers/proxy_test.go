package routers

import (
	"net"
	"net/netip"
	"strings"
	"testing"

	"replypath/test/box"
	"replypath/test/world"
)

// answerFor makes a third router on the shared link answer for the addresses of another one (proxy ARP, proxy NDP), after the time that
// Linux takes for it.
func (o *office) answerFor(r *router) *world.Host {
	h := o.Host("proxy")
	link, port := o.Join(h, "w0", o.Switch, "proxy")
	o.Switch.Run("ip", "link", "set", port.Name, "master", "br0")
	link.LinkLocal("fe80::77")
	link.Addr("192.0.2.77/24", "2001:db8:b::77/64")
	h.Forward()
	h.Run("ip", "link", "add", "d0", "type", "veth", "peer", "name", "d1")
	h.Run("ip", "link", "set", "d0", "up")
	h.Run("ip", "link", "set", "d1", "up")
	h.Run("ip", "route", "add", r.Addr4.String()+"/32", "dev", "d0")
	h.SetSysctl("net.ipv4.conf.w0.proxy_arp", "1")
	h.SetSysctl("net.ipv6.conf.w0.proxy_ndp", "1")
	h.Run("ip", "-6", "neigh", "add", "proxy", r.LL.String(), "dev", "w0")
	return h
}

// Another router answers for the address of a gateway: doctor says so, in each family, also while the kernel has the right one.
func TestDoctorReportsTwoHostsThatAnswerForGateway(t *testing.T) {
	t.Parallel()
	box.EachFirewall(t, func(t *testing.T, backend string) {
		o := newOffice(t, backend)
		cable := o.Routers[1]
		o.start(t)
		o.awaitRouter(t, cable.MAC)
		if d := o.RunDoctor(); len(d.Of("neighbour")) > 0 {
			t.Errorf("one router answers: %s", d)
		}
		third := hardwareAddr(o.answerFor(cable), "w0")
		var d box.DoctorReport // a busy machine may answer later than it listens
		box.Eventually(t, box.EventualTimeout, "doctor has a finding of each family", func() bool {
			d = o.RunDoctor()
			return len(d.Of("neighbour")) == 2
		})
		for _, a := range []string{"192.0.2.3", "fe80::3"} {
			o.WantFinding(d, box.IsWarning, "neighbour", "two hosts reply", "cable", cable.MAC, third, "arping -D -I eth1 "+a)
		}
	})
}

// spoofer is a host on the shared link that has the addresses of a router.
type spoofer struct {
	*world.Host
	mac string
}

// addSpoofer adds a host with the addresses of the router, which it announces by gratuitous ARP and unsolicited neighbour advertisements.
func (o *office) addSpoofer(r *router) *spoofer {
	h := &spoofer{o.Host("spoofer"), "02:00:00:0b:09:01"}
	link, port := o.Join(h.Host, "w0", o.Switch, "spoofer")
	o.Switch.Run("ip", "link", "set", port.Name, "master", "br0")
	h.SetSysctl("net.ipv4.conf.w0.arp_notify", "1")
	h.SetSysctl("net.ipv6.conf.w0.ndisc_notify", "1")
	link.Addr(r.Addr4.String() + "/24")
	h.Run("ip", "-6", "addr", "add", r.LL.String()+"/64", "dev", "w0", "nodad")
	return h
}

// awaitSpoofedEntry waits until the gateway has taken the announcement of the address.
func (h *spoofer) awaitSpoofedEntry(t *testing.T, o *office, a netip.Addr) {
	t.Helper()
	box.Eventually(t, box.EventualTimeout, "the gateway takes the announcement of "+a.String(), func() bool {
		h.Run("ip", "link", "set", "w0", "address", h.mac) // announces; within a second after another change it is ignored
		return strings.Contains(o.Gateway.Run("ip", "neigh", "show", a.String(), "dev", "eth1"), h.mac)
	})
}

// Another host announces that it has the addresses of a gateway, and answers for them. Replies to the other router do not feel it, those
// to the robbed one are right again by themselves when the host is gone, although it says so to nobody.
func TestRepliesAfterStolenAddresses(t *testing.T) {
	t.Parallel()
	box.EachFirewall(t, func(t *testing.T, backend string) {
		o, cable := startKnowing(t, backend)
		p := o.pingerBy(t)
		all := []net.HardwareAddr{mustMAC(t, o.Routers[0].MAC), mustMAC(t, cable.MAC)}
		p.wantReplies(t, all...)
		h := o.addSpoofer(cable)
		for _, a := range []netip.Addr{cable.Addr4, cable.LL} {
			h.awaitSpoofedEntry(t, o, a)
			p.wantReplies(t, all[0])
		}
		h.Run("ip", "link", "set", "w0", "down")
		p.awaitReplies(t, all...)
		o.wantReplies(t)
	})
}
