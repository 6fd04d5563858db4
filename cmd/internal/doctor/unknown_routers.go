package doctor

import (
	"fmt"
	"net/netip"
	"strings"

	"replypath/uplinks/egress"
)

// UnknownRouter is a sender on a link with several uplinks that forwards packets to this host, and is the router of none of them.
type UnknownRouter struct {
	Link   string
	MAC    string     // raw bytes
	From   netip.Addr // the source of one of the packets
	Frames int
}

// checkUnknownRouters reports routers on links with several uplinks that no uplink has: a connection that comes in by one of them
// is taken for that of the first uplink on the link.
func (s Snapshot) checkUnknownRouters() (all []Finding) {
	for _, r := range s.UnknownRouters {
		mac := egress.MACText(r.MAC)
		var addrs, names []string
		for _, n := range s.Egress.NeighboursWith(s.Facts.Links[r.Link].Index, r.MAC) {
			addrs = append(addrs, n.String())
		}
		for _, u := range s.Settings.Uplinks {
			if u.Link == r.Link {
				names = append(names, u.Name)
			}
		}
		remedy := fmt.Sprintf("add it to its uplink: mac = [%q]; or give it an uplink of its own", mac)
		if len(addrs) > 0 {
			remedy = fmt.Sprintf("add it to its uplink: routers = [%q]; or give it an uplink of its own", addrs[0])
			addrs = []string{"neighbour entries of it: " + strings.Join(addrs, ", ")}
		}
		all = append(all, Finding{ID: "unknown-router", Severity: Warning,
			Message:  fmt.Sprintf("packets from %s come in by %s, from a router at %s that is none of %s: replies to new connections by it leave by the router of %s", r.From, r.Link, mac, strings.Join(names, ", "), names[0]),
			Evidence: append([]string{fmt.Sprintf("%d packets within a second whose senders are not on the link", r.Frames)}, addrs...),
			Remedy:   remedy})
	}
	return all
}
