package uplinks

import (
	"fmt"
	"slices"
)

// addLinkTunables adds the group and the sysctl of the uplink's link.
func addLinkTunables(want State, s Settings, f Facts, u Uplink) {
	if _, present := f.LinkOf(u); present {
		want.Tunables[Tunable{u.Link, LinkGroup}] = fmt.Sprint(s.Group)
		want.Tunables[Tunable{u.Link, SrcValidMark}] = "1"
	}
}

// addNamespaceTunables adds the namespace's sysctls when there are uplinks. Without an uplink that manages IPv6 the IPv6
// sysctl is left alone.
func addNamespaceTunables(want State, s Settings, f Facts) {
	managesIPv6 := f.IPv6 && slices.ContainsFunc(s.Uplinks, func(u Uplink) bool { return u.Manages(IPv6) })
	for _, t := range namespaceTunables {
		if len(s.Uplinks) > 0 && (t.Name != Reflect6 || managesIPv6) {
			want.Tunables[t] = "1"
		}
	}
}
