package host

import (
	"context"
	"fmt"
	"hash/fnv"

	"replypath/marks"
	"replypath/uplinks"
	"replypath/uplinks/procfs"
	"replypath/uplinks/rtnl"
)

// Event is something that happened on the host and may concern us.
type Event struct {
	Subject string
	Origin  string // as far as the kernel tells, and not ourselves
	Link    uplinks.LinkState
	Scope   uplinks.ChangedScope
}

// WatchLinks tells of links, addresses, routes, rules and announced sysctls until the context ends, beginning with one
// event when it has subscribed.
func (h *Host) WatchLinks(ctx context.Context, handle func(Event)) error {
	return h.links.Watch(ctx, func(c rtnl.Event) {
		origin := ""
		if c.Port != 0 && !h.links.OwnsPort(c.Port) {
			origin = fmt.Sprintf("netlink port %d", c.Port)
		}
		handle(Event{c.Subject, origin, c.Link, c.Scope})
	})
}

// WatchFirewall tells of every change to nftables until the context ends, but for our own: the trap of a proof comes and
// goes, and what iptables does for us bears the name of iptables. A process's number would say less than its name: it is
// that of another process namespace.
func (h *Host) WatchFirewall(ctx context.Context, handle func(Event)) error {
	own := procfs.OwnCommand()
	return h.firewall.watch(ctx, func(p marks.Process) {
		if own != "" && p.Name == own {
			return
		}
		origin := ""
		if p.PID != 0 && !h.ownGenerations.contains(p.Generation) {
			origin = fmt.Sprintf("%s (process %d)", p.Name, p.PID)
		}
		handle(Event{Subject: "firewall", Origin: origin})
	})
}

// Fingerprint sums up what the kernel does not announce: the sysctls of the links that were there at the last Observe,
// and legacy firewall tables. It is asked for several times a second.
func (h *Host) Fingerprint() (uint64, error) {
	sum := fnv.New64a()
	h.sysctls.WriteValues(sum)
	for _, f := range uplinks.Families {
		t := h.firewall.table(f, marks.Legacy)
		if t == nil || t.Absent() {
			continue
		}
		stamp, err := t.Generation()
		if err != nil {
			return 0, err
		}
		fmt.Fprintln(sum, f, stamp)
	}
	return sum.Sum64(), nil
}

// Reconfigure looks at another backend or other tables from now on.
func (h *Host) Reconfigure(ctx context.Context, backend marks.Backend, base uplinks.Table) error {
	h.counters.mu.Lock()
	defer h.counters.mu.Unlock()
	h.links.SetTableBase(base)
	return h.firewall.choose(ctx, backend)
}
