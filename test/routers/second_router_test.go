package routers

import (
	"fmt"
	"net"
	"net/netip"
	"syscall"
	"testing"

	"replypath/test/box"
	"replypath/test/world"
)

// secondRouter is a second router of the uplink cable, which the configuration names by its addresses. It forwards
// requests, and never gets a reply: those leave by the uplink's gateway.
type secondRouter struct {
	*office
	link  *world.Link
	addrs []string
	mac   net.HardwareAddr
	asked uint16
}

// addSecondRouter adds it to the shared link.
func (o *office) addSecondRouter() *secondRouter {
	s := &secondRouter{office: o, addrs: []string{"192.0.2.12", "2001:db8:b::12"}}
	var port *world.Link
	s.link, port = o.Join(o.Host("r3"), "w0", o.Switch, "r3")
	o.Switch.Run("ip", "link", "set", port.Name, "master", "br0")
	s.link.LinkLocal("fe80::12")
	s.link.Addr(s.addrs[0]+"/24", s.addrs[1]+"/64")
	s.setMAC(net.HardwareAddr{2, 0, 0, 0xa, 0x12, 1})
	return s
}

func (s *secondRouter) setMAC(mac net.HardwareAddr) {
	s.mac = mac
	s.link.Host.Run("ip", "link", "set", s.link.Name, "address", mac.String())
}

// setting returns the line of its uplink that names it.
func (s *secondRouter) setting() string {
	return fmt.Sprintf("routers = [%q, %q]", s.addrs[0], s.addrs[1])
}

// wantReplies wants the replies to what it forwards to be sent to the gateway of its uplink.
func (s *secondRouter) wantReplies(t *testing.T, when string) {
	t.Helper()
	cable := s.Routers[1]
	p := &pinger{office: s.office, frames: s.rawFramesBy(t, s.link, "eth1"), replies: repliesAt(t, s.Port), asked: s.asked,
		from: []netip.Addr{cable.Client4, cable.Client6}, to: s.to()}
	for family, to := range p.to {
		if got := p.ask(t, family, s.mac); got.String() != cable.MAC {
			t.Errorf("%s, the reply to %s by the second router of %s, %s, is sent to %s, not to the gateway, %s", when, to, cable.Name, s.mac, got, cable.MAC)
		}
	}
	s.asked = p.asked
}

// wantClassified wants the first packets of connections to be answered by the right router, while all routers of the link have hardware
// addresses that the neighbour table has and the rules do not: the service is stopped meanwhile. number makes the addresses.
func (s *secondRouter) wantClassified(t *testing.T, service *box.Service, number int) {
	t.Helper()
	if pins := s.Gateway.Pins("ingress", "link_"); len(pins) != 1 {
		t.Errorf("the classifiers are %v, want one", pins)
	}
	service.Signal(syscall.SIGSTOP)
	defer service.Signal(syscall.SIGCONT)
	for i, r := range s.Routers {
		r.setMAC(fmt.Sprintf("02:00:00:0b:%02d:%02d", number, i))
		s.neighbour(r, r.MAC, "reachable")
	}
	s.setMAC(net.HardwareAddr{2, 0, 0, 0xb, 0x12, byte(number)})
	for i, a := range s.addrs {
		s.Gateway.Run("ip", []string{"-4", "-6"}[i], "neigh", "replace", a, "dev", "eth1", "lladdr", s.mac.String(), "nud", "reachable")
	}
	const when = "while the rules know no router"
	for _, r := range s.Routers {
		s.wantAnswered(t, when, r, box.ServedPort)
	}
	s.wantReplies(t, when)
}
