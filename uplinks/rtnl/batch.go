package rtnl

import (
	"errors"
	"fmt"
	"net/netip"
	"strconv"

	"replypath/uplinks"

	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

// Batch is a list of changes that are sent together. Each succeeds or fails on its own.
type Batch struct {
	h          *Handle
	messages   []message
	deletes    []bool  // by change: it deletes, and it is no error when the object is missing
	encodeErrs []error // by change: why it cannot be sent
	indexes    []int   // by message: the number of its change
}

// NewBatch returns an empty batch.
func (h *Handle) NewBatch() *Batch { return &Batch{h: h} }

// Execute makes the changes in their order and returns the error of each, or nil. A change that fails does not prevent the
// others.
func (b *Batch) Execute() []error {
	errs := b.encodeErrs
	for i, err := range b.h.writer.send(b.messages) {
		at := b.indexes[i]
		switch errs[at] = err; {
		case b.deletes[at]:
			errs[at] = ignoreNotFound(err)
		case b.messages[i].isNewRoute():
			errs[at] = markRefused(err)
		}
	}
	return errs
}

func (b *Batch) add(m message, deletes bool, err error) {
	if err == nil {
		b.messages = append(b.messages, m)
		b.indexes = append(b.indexes, len(b.encodeErrs))
	}
	b.deletes = append(b.deletes, deletes)
	b.encodeErrs = append(b.encodeErrs, err)
}

// AddError adds a change that cannot be made, for the error.
func (b *Batch) AddError(err error) { b.add(nil, false, err) }

// AddRule adds a change that adds the rule.
func (b *Batch) AddRule(r uplinks.Rule) {
	b.add(encodeRule(unix.RTM_NEWRULE, unix.NLM_F_CREATE|unix.NLM_F_EXCL, r), false, nil)
}

// DelRule adds a change that deletes the rule. A missing rule is no error.
func (b *Batch) DelRule(r uplinks.Rule) { b.add(encodeRule(unix.RTM_DELRULE, 0, r), true, nil) }

// SetRoute adds a change that adds the route, or replaces the route with its key.
func (b *Batch) SetRoute(k uplinks.RouteKey, r uplinks.Route) {
	index, err := b.h.LinkIndex(r.Link)
	m := encodeRoute(unix.RTM_NEWROUTE, unix.NLM_F_CREATE|unix.NLM_F_REPLACE, k, r, index)
	if !r.Hops.IsEmpty() {
		err = m.addHops(k.Family, r.Hops, b.h.LinkIndex)
	}
	b.add(m, false, err)
}

// DelRoute adds a change that deletes the route. A missing route or link is no error.
func (b *Batch) DelRoute(k uplinks.RouteKey, r uplinks.Route) {
	index, err := b.h.LinkIndex(r.Link)
	if errors.Is(err, unix.ENODEV) {
		b.skipDelete()
		return
	}
	b.add(encodeRoute(unix.RTM_DELROUTE, 0, k, r, index), true, err)
}

// skipDelete adds a deletion that has nothing to do.
func (b *Batch) skipDelete() {
	b.deletes, b.encodeErrs = append(b.deletes, true), append(b.encodeErrs, nil)
}

// SetGroup adds a change that puts the link with the index into the group, a decimal number.
func (b *Batch) SetGroup(link int, group string) {
	n, err := strconv.ParseUint(group, 10, 31)
	if err != nil {
		err = fmt.Errorf("group of link %d: %w", link, err)
	}
	m := newMessage(unix.RTM_SETLINK, 0, unix.SizeofIfInfomsg)
	nativeEndian.PutUint32(m.header()[4:], uint32(link))
	m.addUint32(unix.IFLA_GROUP, uint32(n))
	b.add(m, false, err)
}

// ignoreNotFound returns nil for the errors by which the kernel reports that the object to delete does not exist.
func ignoreNotFound(err error) error {
	if errors.Is(err, unix.ENOENT) || errors.Is(err, unix.ESRCH) || errors.Is(err, unix.ENODEV) {
		return nil
	}
	return err
}

// markRefused wraps uplinks.ErrRefused around an error by which the kernel reports that a route cannot be: its gateway is no
// neighbour on its link, its source no address of the host, or the like (net/ipv4/fib_semantics.c, net/ipv6/route.c).
func markRefused(err error) error {
	for _, refusal := range []error{unix.EINVAL, unix.ENETUNREACH, unix.EHOSTUNREACH, unix.EADDRNOTAVAIL, unix.EACCES, unix.EOPNOTSUPP, unix.ENOENT} {
		if errors.Is(err, refusal) {
			return fmt.Errorf("%w: %w", uplinks.ErrRefused, err)
		}
	}
	return err
}

// encodeRule encodes all properties of the rule (linux/fib_rules.h, struct fib_rule_hdr). Those that replypath never writes
// are as the kernel sent them.
func encodeRule(kind, flags uint16, r uplinks.Rule) message {
	m := newMessage(kind, flags, unix.SizeofRtMsg)
	header := m.header()
	header[0], header[7] = uint8(addressFamily(r.Family)), uint8(r.Action)
	if r.From.IsValid() {
		header[2] = uint8(r.From.Bits())
	}
	if r.Not {
		nativeEndian.PutUint32(header[8:], fibRuleInvert)
	}
	m.addUint32(nl.FRA_PRIORITY, uint32(r.Priority))
	m.addAttr(nl.FRA_PROTOCOL, []byte{uplinks.Protocol})
	if r.From.IsValid() {
		m.addAddr(nl.FRA_SRC, r.From.Addr())
	}
	if r.Mask != 0 {
		m.addUint32(nl.FRA_FWMARK, uint32(r.Mark))
		m.addUint32(nl.FRA_FWMASK, uint32(r.Mask))
	}
	if r.Table != 0 {
		m.addUint32(nl.FRA_TABLE, uint32(r.Table))
	}
	if r.SuppressLength != uplinks.NoSuppress {
		m.addUint32(nl.FRA_SUPPRESS_PREFIXLEN, uint32(r.SuppressLength))
	}
	if r.SuppressGroup != uplinks.NoSuppress {
		m.addUint32(nl.FRA_SUPPRESS_IFGROUP, uint32(r.SuppressGroup))
	}
	if r.IIF != "" {
		m.addAttr(nl.FRA_IIFNAME, append([]byte(r.IIF), 0))
	}
	if r.Action == uplinks.Goto {
		m.addUint32(nl.FRA_GOTO, uint32(r.Goto))
	}
	m.addSelectors(r.Selectors)
	return append(m, r.Other...)
}

// encodeRoute encodes all properties of the route (rtnetlink(7), struct rtmsg) but Hops: without them the kernel deletes a
// multipath route as a whole.
func encodeRoute(kind, flags uint16, k uplinks.RouteKey, r uplinks.Route, link int) message {
	m := newMessage(kind, flags, unix.SizeofRtMsg)
	header := m.header()
	header[0], header[1] = uint8(addressFamily(k.Family)), uint8(k.Dst.Bits())
	header[3], header[5], header[6], header[7] = r.TOS, r.Protocol, routeScope(k, r), uint8(r.Type)
	if kind == unix.RTM_DELROUTE {
		header[6] = unix.RT_SCOPE_NOWHERE // any scope
	}
	if r.From.IsValid() {
		header[2] = uint8(r.From.Bits())
		m.addAddr(unix.RTA_SRC, r.From.Addr())
	}
	if r.OnLink {
		nativeEndian.PutUint32(header[8:], unix.RTNH_F_ONLINK)
	}
	m.addAddr(unix.RTA_DST, k.Dst.Addr())
	if r.Src.IsValid() {
		m.addAddr(unix.RTA_PREFSRC, r.Src)
	}
	m.addGateway(k.Family, r.Gateway)
	m.addUint32(unix.RTA_TABLE, uint32(k.Table))
	if k.Metric != 0 {
		m.addUint32(unix.RTA_PRIORITY, k.Metric)
	}
	if !r.Metrics.IsEmpty() {
		m.addAttr(unix.RTA_METRICS, encodeMetrics(r.Metrics.Values()))
	}
	if r.Hops.IsEmpty() {
		m.addUint32(unix.RTA_OIF, uint32(link))
	}
	return m
}

// routeScope returns the scope of a route of ours: IPv4 requires "link" without a gateway, and "host" for a local route;
// IPv6 has no scopes.
func routeScope(k uplinks.RouteKey, r uplinks.Route) uint8 {
	if k.Family == uplinks.IPv4 && r.Type == uplinks.Local {
		return unix.RT_SCOPE_HOST
	}
	if k.Family == uplinks.IPv4 && r.Type == uplinks.Unicast && !r.Gateway.IsValid() && r.Hops.IsEmpty() {
		return unix.RT_SCOPE_LINK
	}
	return unix.RT_SCOPE_UNIVERSE
}

// addGateway adds the gateway, if any. An IPv4 route can have an IPv6 gateway (RFC 5549).
func (m *message) addGateway(f uplinks.Family, gw netip.Addr) {
	switch {
	case !gw.IsValid():
	case uplinks.FamilyOf(gw) != f:
		m.addAttr(unix.RTA_VIA, append(nativeEndian.AppendUint16(nil, unix.AF_INET6), gw.AsSlice()...))
	default:
		m.addAddr(unix.RTA_GATEWAY, gw)
	}
}
