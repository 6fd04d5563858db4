package doctor

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"replypath/test/box"
	"replypath/test/world"
)

// Connections that leave by an uplink with a source that is not its own are named, and those that are translated are not.
func TestDoctorReportsForeignSources(t *testing.T) {
	t.Parallel()
	box.EachBackend(t, func(t *testing.T, backend string) {
		b := box.New(t, world.TwoISPs(t), backend)
		settings := b.Settings
		b.Client.ServeUDP(box.ServedPort, world.Pktinfo)
		outbound := func(line string) {
			b.Settings = append(settings[:len(settings):len(settings)], line)
			b.Configure(b.Uplinks...)
			b.Apply()
			b.Gateway.Run("conntrack", "-F")
		}
		// A request without a reply is tracked once it leaves, which can be later on a busy machine.
		awaitTracked := func() {
			t.Helper()
			for _, family := range []string{"ipv4", "ipv6"} {
				box.Eventually(t, box.EventualTimeout, "the request is tracked in "+family, func() bool {
					return strings.Contains(b.Gateway.Run("conntrack", "-L", "-f", family, "-p", "udp", "--dport", fmt.Sprint(box.ServedPort)), "src=")
				})
			}
		}
		send := func(timeout time.Duration) (answers int) {
			for _, to := range []netip.Addr{b.Client4, b.Client6} {
				q := box.NewRequest(world.KindUDP, to)
				q.Timeout = timeout
				if b.LAN.Send(q).OK {
					answers++
				}
			}
			return answers
		}
		outbound(`outbound = { default = "isp1" }`)
		send(100 * time.Millisecond)
		awaitTracked()
		d := b.RunDoctor()
		b.WantFinding(d, box.IsWarning, "foreign-source", "by isp1 with the source "+b.LAN4.String()+", as no rule translates it", "by isp1 with the source "+b.LAN6.String(), "masquerade = ")
		outbound(`outbound = { default = "isp1", masquerade = "both" }`)
		if n := send(time.Minute); n != 2 {
			t.Fatalf("%d of 2 answers", n)
		}
		if d := b.RunDoctor(); len(d.Of("foreign-source")) > 0 {
			t.Errorf("translated: %s", d)
		}
		for family, to := range map[int]netip.Addr{4: b.Uplinks[0].Addr4, 6: b.Uplinks[0].Addr6} {
			b.Iptables(family, "-t", "nat", "-I", "POSTROUTING", "-j", "SNAT", "--to-source", to.String())
		}
		b.Gateway.Run("conntrack", "-F")
		send(100 * time.Millisecond)
		awaitTracked()
		b.WantFinding(b.RunDoctor(), box.IsWarning, "foreign-source", "with the source "+b.Uplinks[0].Addr4.String()+", to which a rule translates it", "-o, oifname")
	})
}
