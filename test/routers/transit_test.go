package routers

import (
	"net/netip"
	"strings"
	"testing"

	"replypath/test/box"
	"replypath/test/world"
)

// Packets from behind one router to behind another one of the same link are forwarded by main in both directions, which
// has a route to each client. The gateway sends no redirects: no sender is on the link.
func TestTransitBetweenRoutersOfOneLink(t *testing.T) {
	t.Parallel()
	box.EachFirewall(t, func(t *testing.T, backend string) {
		o := newOffice(t, backend)
		for _, key := range []string{"net.ipv4.conf.all.send_redirects", "net.ipv4.conf.eth1.send_redirects"} {
			o.Gateway.SetSysctl(key, "1")
		}
		for i, r := range o.Routers {
			other := o.Routers[1-i]
			o.Gateway.AddRoute(world.Route{To: netip.PrefixFrom(r.Client4, 32), Via: r.Addr4, Link: o.Link})
			o.Gateway.AddRoute(world.Route{To: netip.PrefixFrom(r.Client6, 128), Via: r.LL, Link: o.Link})
			r.AddRoute(world.Route{To: netip.PrefixFrom(other.Client4, 32), Via: o.Addr4, Link: r.Link})
			r.AddRoute(world.Route{To: netip.PrefixFrom(other.Client6, 128), Via: netip.MustParseAddr("fe80::2"), Link: r.Link})
			box.ServeAll(r.Client)
		}
		o.Apply()
		for i, r := range o.Routers {
			other := o.Routers[1-i]
			for _, to := range []netip.Addr{other.Client4, other.Client6} {
				box.WantReplies(t, r.Client, to, kinds)
			}
		}
		if n := o.redirectsSent(); len(n) > 0 {
			t.Errorf("the gateway has sent redirects: %s", n)
		}
	})
}

// redirectsSent returns the lines of the kernel's counters of the redirects that the gateway has sent, if it has sent any.
func (o *office) redirectsSent() (all []string) {
	o.T.Helper()
	for line := range strings.Lines(o.Gateway.Run("nstat", "-a", "-z", "-s", "IcmpOutRedirects", "Icmp6OutRedirects")) {
		if words := strings.Fields(line); len(words) > 1 && strings.HasSuffix(words[0], "OutRedirects") && words[1] != "0" {
			all = append(all, line)
		}
	}
	return all
}
