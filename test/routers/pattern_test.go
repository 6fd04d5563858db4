package routers

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"replypath/test/box"
	"replypath/test/world"
)

// Two routers on a link that is found by a pattern are distinguished, also while the link gets other names, and UDP servers on the
// wildcard address answer by the router that asked.
func TestRoutersOnALinkOfAPattern(t *testing.T) {
	group := world.NewCgroup(t)
	box.EachFirewall(t, func(t *testing.T, backend string) {
		o := newOffice(t, backend, "[udp]", `answer = "asked"`, fmt.Sprintf("cgroup = %q", group))
		o.Write(strings.ReplaceAll(o.config(t), `"eth1"`, `"wan*"`))
		o.Gateway.Run("ip", "link", "set", "dev", "eth1", "name", "wan1")
		box.ServeAll(o.Gateway)
		const wildcard, connected = 7200, 7201
		o.Gateway.ServeUDP(wildcard, world.Wildcard)
		o.Gateway.ServeUDP(connected, world.Connect)
		o.Must(0, "check")
		o.start(t)
		names := []string{"wan1", "wan2", "lan9", "wan3"}
		for i, name := range names {
			if i > 0 {
				o.Gateway.Run("ip", "link", "set", "dev", names[i-1], "name", name)
			}
			if !strings.HasPrefix(name, "wan") { // no link matches for a while
				box.Eventually(t, box.EventualTimeout, "there is no link", func() bool { return o.ServiceStatus().Uplinks[1].Interface == "wan*" })
				continue
			}
			box.Eventually(t, box.EventualTimeout, "the uplinks have "+name, func() bool {
				all := o.ServiceStatus().Uplinks
				return all[1].Interface == name && all[2].Interface == name && strings.Contains(o.rules(4), name) && strings.Contains(o.rules(6), name)
			})
			for _, r := range o.Routers {
				o.awaitRouter(t, r.MAC)
			}
			o.AwaitInSync()
			o.wantReplies(t)
			for _, r := range o.Routers {
				for _, to := range o.to() {
					for _, port := range []uint16{wildcard, connected} {
						q := box.NewRequest(world.KindUDP, to)
						q.To = netip.AddrPortFrom(to, port)
						q.NoResend = true
						if a := r.Client.Send(q); !a.OK {
							t.Errorf("%s: port %d at %s by %s: %v", name, port, to, r.Name, a)
						}
					}
				}
			}
		}
	})
}
