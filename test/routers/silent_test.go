package routers

import (
	"slices"
	"strings"
	"testing"

	"replypath/test/box"
)

// silence makes the router answer no question for its hardware address on the shared link.
func (r *router) silence() {
	r.SetSysctl("net.ipv4.conf.w0.arp_ignore", "8")
	r.Run("ip6tables", "-A", "OUTPUT", "-o", "w0", "-p", "icmpv6", "--icmpv6-type", "neighbour-advertisement", "-j", "DROP")
}

// A router that answers no question for its hardware address still sends requests. As the router of an uplink it is known once a neighbour
// entry is written, and doctor says so; a router that is found needs none.
func TestSilentRouter(t *testing.T) {
	t.Parallel()
	box.EachFirewall(t, func(t *testing.T, backend string) {
		o := newOffice(t, backend)
		dsl, cable := o.Routers[0], o.Routers[1]
		box.ServeAll(o.Gateway)
		cable.silence()
		o.start(t)
		p := o.pingerBy(t)
		for family, to := range o.to() {
			if got := p.ask(t, family, mustMAC(t, cable.MAC)); got.String() != dsl.MAC {
				t.Errorf("the reply to %s by the silent router is sent to %s", to, got)
			}
		}
		o.WantFinding(o.RunDoctor(), box.IsWarning, "unresolved-router", "cable", "eth1", "dsl", "ip neigh: fe80::3 dev eth1", "ip neigh replace 192.0.2.3 dev eth1 lladdr MAC nud permanent")
		box.Eventually(t, box.EventualTimeout, "the status says that the router does not answer", func() bool {
			text := strings.Join(strings.Fields(o.Run("status").Stdout), " ")
			return !slices.ContainsFunc([]string{"the hardware address of the gateway 192.0.2.3 is not known", "the hardware address of the gateway fe80::3 is not known",
				"probe the gateway 192.0.2.3 on eth1 by ARP: no reply", "probe the gateway fe80::3 on eth1 by neighbour discovery: no reply"},
				func(want string) bool { return !strings.Contains(text, want) })
		})
		o.neighbour(cable, cable.MAC, "permanent")
		o.awaitRouter(t, cable.MAC)
		o.wantReplies(t)
		if d := o.RunDoctor(); len(d.Of("unresolved-router")) > 0 {
			t.Error(d)
		}
		o.Gateway.Run("ip", "neigh", "flush", "dev", "eth1", "nud", "permanent")
		o.configureAny()
		o.Must(0, "reload")
		o.awaitFound(t, cable)
		o.wantReplies(t)
		o.wantFoundReplies(t, cable)
		if d := o.RunDoctor(); len(d.Of("unresolved-router"))+len(d.Of("unknown-router")) > 0 {
			t.Error(d)
		}
	})
}
