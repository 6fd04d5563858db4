package doctor

import (
	"fmt"
	"slices"

	"replypath/uplinks"
	"replypath/uplinks/egress"
)

const (
	acceptRedirects4 = "net.ipv4.conf.*.accept_redirects"
	acceptRedirects6 = "net.ipv6.conf.*.accept_redirects"
	forwarding4      = "net.ipv4.conf.*.forwarding"
	forwarding6      = "net.ipv6.conf.*.forwarding"
)

// checkSharedLinks reports what keeps uplinks on one link from being distinguished.
func (s Snapshot) checkSharedLinks() []Finding {
	if !s.Settings.HasSharedLinks() {
		return nil
	}
	return slices.Concat(s.checkSameRouters(), s.checkUnknownRouters(), s.checkUnresolvedRouters(), s.checkRedirects())
}

// checkSameRouters reports routers of two uplinks on a link that have one hardware address.
func (s Snapshot) checkSameRouters() (all []Finding) {
	type owner struct {
		uplink string
		entry  egress.Neighbour
	}
	owners := map[string]owner{} // by link and hardware address
	for _, r := range s.Settings.SharedRouters(s.Facts) {
		for _, a := range r.Addrs {
			n, found := s.Egress.FindNeighbour(s.Facts.Links[r.Link].Index, a)
			if !found || !n.State.Valid() || n.MAC == "" {
				continue
			}
			key := r.Link + " " + n.MAC
			first, taken := owners[key]
			switch {
			case !taken:
				owners[key] = owner{r.Uplink, n}
			case first.uplink != r.Uplink:
				all = append(all, Finding{ID: "same-router", Severity: Error,
					Evidence: []string{"ip neigh: " + s.Egress.NeighbourText(first.entry), "ip neigh: " + s.Egress.NeighbourText(n)},
					Message:  fmt.Sprintf("the uplinks %s and %s on %s have one router: what it forwards is taken for that of %s", first.uplink, r.Uplink, r.Link, first.uplink),
					Remedy:   "write another gateway, or make one uplink of the two: one router with two addresses cannot be distinguished"})
			}
		}
	}
	return all
}

// checkRedirects reports links with several uplinks on which the kernel accepts ICMP redirects: one router can then send the
// replies of its clients by another one.
func (s Snapshot) checkRedirects() (all []Finding) {
	seen := map[string]bool{}
	for _, r := range s.Settings.SharedRouters(s.Facts) {
		if seen[r.Link] {
			continue
		}
		seen[r.Link] = true
		for _, f := range s.Facts.Families() {
			accept, accepts := s.acceptsRedirects(r.Link, f)
			if !accepts {
				continue
			}
			all = append(all, Finding{ID: "redirects-accepted", Severity: Warning, Evidence: []string{s.sysctlLine(accept)},
				Message: fmt.Sprintf("%s accepts %s redirects, and several uplinks are on it: one router can send replies by another one", r.Link, f),
				Remedy:  fmt.Sprintf("sysctl -w %s=0 %s=0", uplinks.Tunable{Link: "all", Name: accept.Name}, uplinks.Tunable{Link: r.Link, Name: accept.Name})})
		}
	}
	return all
}

// acceptsRedirects reports whether the kernel follows redirects that arrive on the link, and the sysctl that says so. A router
// follows none in IPv6, and in IPv4 only where the values for the link and for "all" are both set (include/linux/inetdevice.h,
// IN_DEV_RX_REDIRECTS; net/ipv6/route.c, rt6_do_redirect).
func (s Snapshot) acceptsRedirects(link string, f uplinks.Family) (accept uplinks.Tunable, accepts bool) {
	value := func(on, name string) bool { return s.Sysctls[uplinks.Tunable{Link: on, Name: name}] == "1" }
	if f == uplinks.IPv6 {
		return uplinks.Tunable{Link: link, Name: acceptRedirects6}, value(link, acceptRedirects6) && !value(link, forwarding6)
	}
	own, all := value(link, acceptRedirects4), value("all", acceptRedirects4)
	if value(link, forwarding4) {
		return uplinks.Tunable{Link: link, Name: acceptRedirects4}, own && all
	}
	return uplinks.Tunable{Link: link, Name: acceptRedirects4}, own || all
}
