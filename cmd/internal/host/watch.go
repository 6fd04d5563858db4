package host

import (
	"context"
	"fmt"
	"hash/fnv"

	"replypath/marks"
	"replypath/marks/xtables"
	"replypath/uplinks"
	"replypath/uplinks/procfs"
	"replypath/uplinks/rtnl"
)

// Change is something that happened on the host and may concern us.
type Change struct {
	What string
	Who  string // as far as the kernel tells, and not ourselves
	Link uplinks.LinkState
	At   uplinks.Place
}

// WatchLinks tells of links, addresses, routes, rules and announced sysctls until the context ends, beginning with one
// event when it has subscribed.
func (h *Host) WatchLinks(ctx context.Context, changed func(Change)) error {
	return h.links.Watch(ctx, func(c rtnl.Change) {
		who := ""
		if c.Port != 0 && !h.links.Owns(c.Port) {
			who = fmt.Sprintf("netlink port %d", c.Port)
		}
		changed(Change{c.What, who, c.Link, c.At})
	})
}

// WatchFirewall tells of every change to nftables until the context ends, but for our own: the trap of a proof comes and
// goes, and what iptables does for us bears the name of iptables. A process's number would say less than its name: it is
// that of another process namespace.
func (h *Host) WatchFirewall(ctx context.Context, changed func(Change)) error {
	own := procfs.OwnName()
	return xtables.Watch(ctx, func(p xtables.Process) {
		if own != "" && p.Name == own {
			return
		}
		who := ""
		if p.ID != 0 && !h.wrote.hold(p.Generation) {
			who = fmt.Sprintf("%s (process %d)", p.Name, p.ID)
		}
		changed(Change{What: "firewall", Who: who})
	})
}

// Fingerprint sums up what the kernel does not announce: the sysctls of the links that were there at the last Observe,
// and legacy firewall tables. It is asked for several times a second.
func (h *Host) Fingerprint() (uint64, error) {
	sum := fnv.New64a()
	h.sysctls.Tell(sum)
	for _, f := range uplinks.Families {
		t := h.firewall.table(f, marks.Legacy)
		if t == nil || t.Absent() {
			continue
		}
		stamp, err := t.Stamp()
		if err != nil {
			return 0, err
		}
		fmt.Fprintln(sum, f, stamp)
	}
	return sum.Sum64(), nil
}

// Adjust looks at another backend or other tables from now on.
func (h *Host) Adjust(ctx context.Context, backend marks.Backend, base uplinks.Table) error {
	h.tallies.mu.Lock()
	defer h.tallies.mu.Unlock()
	h.links.LookAt(base)
	return h.firewall.choose(ctx, backend)
}
