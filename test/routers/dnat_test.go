package routers

import (
	"net/netip"
	"testing"

	"replypath/test/box"
)

func TestRepliesOfTranslatedRequestsLeaveByRouterOfRequest(t *testing.T) {
	t.Parallel()
	box.EachFirewall(t, func(t *testing.T, backend string) {
		o := newOffice(t, backend)
		box.ServeAll(o.LAN)
		for i, to := range o.to() {
			inside := []netip.Addr{o.LAN4, o.LAN6}[i]
			o.Iptables(box.FamilyOf(to), "-t", "nat", "-A", "PREROUTING", "-i", "eth1", "-d", to.String(), "-j", "DNAT", "--to", inside.String())
		}
		o.Apply()
		for _, r := range o.Routers {
			for _, to := range o.to() {
				box.WantReplies(t, r.Client, to, box.DNATKinds)
			}
		}
	})
}

// The connection of a host on the link itself belongs to the first uplink, and is answered directly.
func TestHostOnLinkIsAnsweredDirectly(t *testing.T) {
	t.Parallel()
	o := newOffice(t, box.Backends[0])
	box.ServeAll(o.Gateway)
	o.Apply()
	host := o.desk()
	for _, to := range o.to() {
		box.WantReplies(t, host, to, kinds)
	}
}
