package rtnl

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"replypath/uplinks"
	"replypath/uplinks/snapshot"

	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

// SnapshotLines returns the rules and routes of all programs in all tables, in the order of the kernel.
func (h *Handle) SnapshotLines(ctx context.Context, f uplinks.Family) (rules, routes snapshot.Document, err error) {
	links, err := h.snapshotLinks(ctx)
	if err != nil {
		return nil, nil, err
	}
	rules, err = h.lines(ctx, snapshot.KindRule, f, unix.RTM_GETRULE, unix.RTM_NEWRULE, func(m []byte) (string, error) {
		return snapshot.RuleText(m, f)
	})
	if err != nil {
		return nil, nil, err
	}
	routes, err = h.lines(ctx, snapshot.KindRoute, f, unix.RTM_GETROUTE, unix.RTM_NEWROUTE, func(m []byte) (string, error) {
		return snapshot.RouteText(m, f, links)
	})
	return rules, routes, err
}

// lines returns a line for each message of a dump.
func (h *Handle) lines(ctx context.Context, kind string, f uplinks.Family, get int, reply uint16, text func([]byte) (string, error)) (all snapshot.Document, err error) {
	err = dump(ctx, fmt.Sprintf("%s %ss", f, kind), func() error {
		all = nil
		req := h.request(get, unix.NLM_F_DUMP)
		req.AddData(&nl.RtMsg{RtMsg: unix.RtMsg{Family: uint8(addressFamily(f))}})
		return forEachReply(req, reply, func(m []byte) error {
			l, err := text(m)
			all = append(all, snapshot.Line(kind, strings.ToLower(f.String()), l))
			return err
		})
	})
	return all, err
}

// snapshotLinks returns the names of the links now.
func (h *Handle) snapshotLinks(ctx context.Context) (snapshot.Links, error) {
	all, err := h.listLinks(ctx)
	if err != nil {
		return snapshot.Links{}, err
	}
	names := make(map[int]string, len(all))
	for _, l := range all {
		names[l.Attrs().Index] = l.Attrs().Name
	}
	return snapshot.Links{Name: func(index int) string { return names[index] }, Index: h.LinkIndex}, nil
}

// SavedRule is a rule of any program by its line.
type SavedRule struct {
	uplinks.Rule
	Protocol uint8
	message  []byte
}

// String returns the ip-rule(8) command that adds the rule.
func (r SavedRule) String() string {
	return fmt.Sprintf("%s rule add %s protocol %d", r.Family.IPCommand(), r.Spec(), r.Protocol)
}

// Deletion returns the ip-rule(8) command that deletes the rule.
func (r SavedRule) Deletion() string {
	return fmt.Sprintf("%s rule del %s protocol %d", r.Family.IPCommand(), r.Spec(), r.Protocol)
}

// ParseRuleLine returns the rule of a line, without kind and family.
func ParseRuleLine(text string, f uplinks.Family) (SavedRule, error) {
	m, err := snapshot.RuleMessage(text, f)
	if err != nil {
		return SavedRule{}, err
	}
	r, err := parseRule(m, f)
	return SavedRule{r.toRule(), r.Protocol, m}, err
}

// SavedRoute is a route of any program by its line.
type SavedRoute struct {
	uplinks.SetRoute
	message []byte
}

// Made reports whether the kernel makes the route itself, from an address, a redirect or a router advertisement.
func (r SavedRoute) Made() bool {
	p := r.Route.Protocol
	return r.Key.Table == unix.RT_TABLE_LOCAL || p == unix.RTPROT_KERNEL || p == unix.RTPROT_REDIRECT || p == unix.RTPROT_RA
}

// RouteLines reads lines of routes.
type RouteLines struct{ links snapshot.Links }

// NewRouteLines returns a reader of the lines with the links of now.
func (h *Handle) NewRouteLines(ctx context.Context) (RouteLines, error) {
	links, err := h.snapshotLinks(ctx)
	return RouteLines{links}, err
}

// Parse returns the route of a line, without kind and family.
func (l RouteLines) Parse(text string, f uplinks.Family) (SavedRoute, error) {
	m, err := snapshot.RouteMessage(text, f, l.links)
	if err != nil {
		return SavedRoute{}, err
	}
	r, err := parseRoute(m, f)
	if err != nil {
		return SavedRoute{}, err
	}
	names := map[int]string{}
	for hop := range r.hops() {
		names[hop.link] = l.links.Name(hop.link)
	}
	key := uplinks.RouteKey{Family: f, Table: r.table, Dst: r.dst, Metric: r.metric}
	return SavedRoute{uplinks.SetRoute{Key: key, Route: toRoute(&r, names)}, m}, nil
}

// AddSavedRule adds a change that adds the rule, also if it is there already: asked to add it only then, the kernel takes one of the
// same priority to or from a network for one to or from all.
func (b *Batch) AddSavedRule(r SavedRule) {
	b.add(savedMessage(unix.RTM_NEWRULE, unix.NLM_F_CREATE, r.message), false, nil)
}

// AddSavedRoute adds a change that adds the route, in the place of the one with its key if replace is set, else beside it.
func (b *Batch) AddSavedRoute(r SavedRoute, replace bool) {
	flags := unix.NLM_F_CREATE | unix.NLM_F_APPEND
	if replace {
		flags = unix.NLM_F_CREATE | unix.NLM_F_REPLACE
	}
	b.add(savedMessage(unix.RTM_NEWROUTE, uint16(flags), r.message), false, nil)
}

// DelSavedRoute adds a change that deletes the route. A missing route is no error.
func (b *Batch) DelSavedRoute(r SavedRoute) {
	b.add(savedMessage(unix.RTM_DELROUTE, 0, r.message), true, nil)
}

// DelSavedRules adds changes that delete some of the rules of one family and priority; all are in the order of the kernel. The kernel
// deletes the first rule that has what the message has, which may be one with further selectors. So where a rule that stays precedes
// one that goes, each is deleted as the first of all, and those that stay are added again before, behind the others.
func (b *Batch) DelSavedRules(all []SavedRule, goes []bool) {
	first, last := slices.Index(goes, false), -1
	for i, g := range goes {
		if g {
			last = i
		}
	}
	for i, r := range all {
		switch {
		case first > last || first < 0:
			if !goes[i] {
				return
			}
		case !goes[i]:
			b.AddSavedRule(r)
		}
		b.add(savedMessage(unix.RTM_DELRULE, 0, r.message), true, nil)
	}
}

func savedMessage(kind, flags uint16, payload []byte) message {
	return append(newMessage(kind, flags, 0), payload...)
}
