package routers

import (
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
