package routers

import (
	"testing"

	"replypath/test/box"
)

func TestDoctorFindsNothingWhereRoutersAreDistinguished(t *testing.T) {
	o := newOffice(t, box.Backends[0])
	box.ServeAll(o.LAN)
	o.Apply()
	if d := o.RunDoctor(); !d.Healthy() {
		t.Error(d)
	}
}

func TestDoctorReportsAcceptedRedirects(t *testing.T) {
	o := newOffice(t, box.Backends[0])
	o.Apply()
	for _, key := range []string{"net.ipv4.conf.all.accept_redirects", "net.ipv4.conf.eth1.accept_redirects", "net.ipv6.conf.eth1.accept_redirects"} {
		o.Gateway.SetSysctl(key, "1")
	}
	o.WantFinding(o.RunDoctor(), box.IsWarning, "redirects-accepted", "eth1", "net.ipv4.conf.eth1.accept_redirects=0")
	o.Gateway.SetSysctl("net.ipv6.conf.eth1.forwarding", "0")
	o.WantFinding(o.RunDoctor(), box.IsWarning, "redirects-accepted", "eth1", "net.ipv6.conf.eth1.accept_redirects=0")
	for _, key := range []string{"net.ipv4.conf.eth1.accept_redirects", "net.ipv6.conf.eth1.accept_redirects"} {
		o.Gateway.SetSysctl(key, "0")
	}
	if d := o.RunDoctor(); len(d.Of("redirects-accepted")) > 0 {
		t.Error(d)
	}
}

// One router has the gateway addresses of both uplinks.
func TestDoctorReportsOneRouterOfTwoUplinks(t *testing.T) {
	o := newOffice(t, box.Backends[0])
	dsl, cable := o.Routers[0], o.Routers[1]
	cable.Run("ip", "addr", "flush", "dev", "w0")
	dsl.Link.Addr(cable.Addr4.String() + "/24")
	o.Apply()
	o.WantFinding(o.RunDoctor(), box.IsError, "same-router", "dsl", "cable", "eth1")
}
