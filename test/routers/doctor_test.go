package routers

import (
	"context"
	"strings"
	"sync"
	"testing"
	"time"

	"replypath/test/box"
	"replypath/test/world"
)

func TestDoctorFindsNothingWhereRoutersAreDistinguished(t *testing.T) {
	t.Parallel()
	box.EachFirewall(t, func(t *testing.T, backend string) {
		o := newOffice(t, backend)
		box.ServeAll(o.LAN)
		o.Apply()
		if d := o.RunDoctor(); !d.Healthy() {
			t.Error(d)
		}
	})
}

func TestDoctorReportsAcceptedRedirects(t *testing.T) {
	t.Parallel()
	box.EachFirewall(t, func(t *testing.T, backend string) {
		o := newOffice(t, backend)
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
	})
}

// One router has the gateway addresses of both uplinks. Replies get back to it, which verify says with a warning.
func TestDoctorReportsOneRouterOfTwoUplinks(t *testing.T) {
	t.Parallel()
	box.EachFirewall(t, func(t *testing.T, backend string) {
		o := newOffice(t, backend)
		dsl, cable := o.Routers[0], o.Routers[1]
		cable.Run("ip", "addr", "flush", "dev", "w0")
		dsl.Link.Addr(cable.Addr4.String() + "/24")
		dsl.Run("ip", "-6", "addr", "add", cable.LL.String()+"/64", "dev", "w0", "nodad")
		box.ServeAll(o.Gateway)
		o.Apply()
		o.WantFinding(o.RunDoctor(), box.IsError, "same-router", "dsl", "cable", "eth1")
		for _, to := range o.to() {
			box.WantReplies(t, dsl.Client, to, kinds)
		}
		for _, p := range o.Verify().Paths {
			want := map[bool]string{true: "yes same-router", false: "yes"}[p.Uplink == cable.Name]
			if p.Shown.Short() != want || want != "yes" && !strings.Contains(p.Shown.Why, dsl.MAC) {
				t.Errorf("%s %s: shown %s, want %q: %s", p.Uplink, p.Family, p.Shown.Short(), want, p.Shown.Why)
			}
		}
	})
}

// The second router has another hardware address, which no uplink has.
func TestDoctorReportsUnknownRouter(t *testing.T) {
	t.Parallel()
	box.EachFirewall(t, func(t *testing.T, backend string) {
		o := newOffice(t, backend)
		for _, r := range o.Routers {
			for i, a := range []string{r.Addr4.String(), r.LL.String()} { // permanent entries are kept, and follow no change
				o.Gateway.Run("ip", []string{"-4", "-6"}[i], "neigh", "replace", a, "dev", "eth1", "lladdr", r.MAC, "nud", "permanent")
			}
		}
		o.Apply()
		cable := o.Routers[1]
		o.keepSending(t, cable)
		reported := func() (d box.DoctorReport, is bool) { d = o.RunDoctor(); return d, len(d.Of("unknown-router")) > 0 }
		if d, is := reported(); is {
			t.Error(d)
		}
		cable.setMAC("02:00:00:0b:03:01")
		var d box.DoctorReport
		box.Eventually(t, box.EventualTimeout, "doctor reports the router", func() (is bool) { d, is = reported(); return is })
		o.WantFinding(d, box.IsWarning, "unknown-router", "eth1", cable.MAC, "dsl, cable", "mac = ")
		o.configure("", `mac = ["`+cable.MAC+`"]`)
		o.Apply()
		if d, is := reported(); is {
			t.Error(d)
		}
	})
}

// keepSending sends requests by the router until the test ends, whether they are answered or not.
func (o *office) keepSending(t *testing.T, r *router) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	var ended sync.WaitGroup
	for _, to := range o.to() {
		ended.Go(func() {
			q := box.NewRequest(world.KindPing, to)
			q.NoResend, q.Timeout = true, 100*time.Millisecond
			for ctx.Err() == nil {
				r.Client.Send(q)
			}
		})
	}
	t.Cleanup(func() { cancel(); ended.Wait() })
}
