package survey

import (
	"cmp"
	"net/netip"

	"replypath/cmd/internal/doctor"
	"replypath/uplinks"
	"replypath/uplinks/inspect"
	"replypath/uplinks/rpdb"
	"replypath/uplinks/rtnl"
)

// readUnconfigured makes the kernel route the replies of the links that init would propose as uplinks, where no uplink is
// configured.
func (c *collector) readUnconfigured(links *rtnl.Handle) error {
	proposed := inspect.Propose(c.result.Facts, c.result.LinkAttrs).Settings.Uplinks
	if len(c.Settings.Uplinks) > 0 || len(proposed) < 2 {
		return nil
	}
	for _, d := range c.result.Rules {
		for _, u := range proposed {
			from := c.result.Facts.Links[u.Link].SourceAddr(d.Family)
			if !from.IsValid() {
				continue
			}
			_, answer, err := links.LookUpRoute(d, rpdb.Packet{Family: d.Family, From: from, To: documentationClient(c.result.Facts, d.Family)})
			if err != nil {
				return err
			}
			reply := doctor.UnconfiguredReply{Link: u.Link, From: from}
			if answer.Route != nil && len(answer.Route.Hops) == 1 {
				reply.Egress = answer.Route.Hops[0].Link
			}
			c.result.Unconfigured = append(c.result.Unconfigured, reply)
		}
	}
	return nil
}

// documentationClient returns an address of a network for documentation in which the host has no address.
func documentationClient(f uplinks.Facts, family uplinks.Family) (client netip.Addr) {
	for _, p := range uplinks.DocumentationPrefixes(family) {
		taken := false
		for _, l := range f.Links {
			for _, a := range l.Addrs {
				taken = taken || p.Overlaps(a.Prefix.Masked())
			}
		}
		client = cmp.Or(client, p.Addr().Next())
		if !taken {
			return p.Addr().Next()
		}
	}
	return client
}
