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

// Changes are changes that are made together, each as if it were alone.
type Changes struct {
	h        *Handle
	all      []message
	deletes  []bool  // where it is no error that what is to go is not there
	unsaid   []error // why one cannot even be asked for
	existing []int   // which of them each message is
}

// Changes begins.
func (h *Handle) Changes() *Changes { return &Changes{h: h} }

// Make makes the changes in their order, and tells what came of each. One that fails keeps no other from being made.
func (c *Changes) Make() []error {
	errs := c.unsaid
	for i, err := range c.h.writer.send(c.all) {
		at := c.existing[i]
		if errs[at] = err; c.deletes[at] {
			errs[at] = gone(err)
		}
	}
	return errs
}

func (c *Changes) add(m message, deletes bool, err error) {
	if err == nil {
		c.all = append(c.all, m)
		c.existing = append(c.existing, len(c.unsaid))
	}
	c.deletes = append(c.deletes, deletes)
	c.unsaid = append(c.unsaid, err)
}

// Refuse is a change that cannot be made, in the place of one.
func (c *Changes) Refuse(err error) { c.add(nil, false, err) }

// AddRule adds the rule.
func (c *Changes) AddRule(r uplinks.Rule) {
	c.add(ruleMessage(unix.RTM_NEWRULE, unix.NLM_F_CREATE|unix.NLM_F_EXCL, r), false, nil)
}

// DelRule deletes the rule. It is no error when it is gone already.
func (c *Changes) DelRule(r uplinks.Rule) { c.add(ruleMessage(unix.RTM_DELRULE, 0, r), true, nil) }

// SetRoute adds the route, or replaces the one with its key.
func (c *Changes) SetRoute(k uplinks.RouteKey, r uplinks.Route) {
	index, err := c.h.Index(r.Link)
	c.add(routeMessage(unix.RTM_NEWROUTE, unix.NLM_F_CREATE|unix.NLM_F_REPLACE, k, r, index), false, err)
}

// DelRoute deletes the route. It is no error when it is gone already.
func (c *Changes) DelRoute(k uplinks.RouteKey, r uplinks.Route) {
	index, err := c.h.Index(r.Link)
	if errors.Is(err, unix.ENODEV) {
		c.deletes, c.unsaid = append(c.deletes, true), append(c.unsaid, nil)
		return
	}
	c.add(routeMessage(unix.RTM_DELROUTE, 0, k, r, index), true, err)
}

// SetGroup puts the link with that number into a group, given as text.
func (c *Changes) SetGroup(link int, group string) {
	n, err := strconv.ParseUint(group, 10, 31)
	if err != nil {
		err = fmt.Errorf("group of link %d: %w", link, err)
	}
	m := newMessage(unix.RTM_SETLINK, 0, unix.SizeofIfInfomsg)
	order.PutUint32(m.body()[4:], uint32(link))
	m.word(unix.IFLA_GROUP, uint32(n))
	c.add(m, false, err)
}

// gone takes for done what the kernel says when the object to delete is not there.
func gone(err error) error {
	if errors.Is(err, unix.ENOENT) || errors.Is(err, unix.ESRCH) || errors.Is(err, unix.ENODEV) {
		return nil
	}
	return err
}

// ruleMessage has all that the rule has (linux/fib_rules.h, struct fib_rule_hdr), what we never write as the kernel gave it.
func ruleMessage(kind, flags uint16, r uplinks.Rule) message {
	m := newMessage(kind, flags, unix.SizeofRtMsg)
	header := m.body()
	header[0], header[7] = uint8(number(r.Family)), uint8(r.Action)
	if r.From.IsValid() {
		header[2] = uint8(r.From.Bits())
	}
	if r.Not {
		order.PutUint32(header[8:], flagInvert)
	}
	if r.Other != "" {
		header[3], header[1] = r.Other[0], r.Other[1]
	}
	m.word(nl.FRA_PRIORITY, uint32(r.Priority))
	m.attribute(nl.FRA_PROTOCOL, []byte{uplinks.Protocol})
	if r.From.IsValid() {
		m.address(nl.FRA_SRC, r.From.Addr())
	}
	if r.Mask != 0 {
		m.word(nl.FRA_FWMARK, uint32(r.Mark))
		m.word(nl.FRA_FWMASK, uint32(r.Mask))
	}
	if r.Table != 0 {
		m.word(nl.FRA_TABLE, uint32(r.Table))
	}
	if r.SuppressLength != uplinks.NoSuppress {
		m.word(nl.FRA_SUPPRESS_PREFIXLEN, uint32(r.SuppressLength))
	}
	if r.SuppressGroup != uplinks.NoSuppress {
		m.word(nl.FRA_SUPPRESS_IFGROUP, uint32(r.SuppressGroup))
	}
	if r.In != "" {
		m.attribute(nl.FRA_IIFNAME, append([]byte(r.In), 0))
	}
	if r.Action == uplinks.Goto {
		m.word(nl.FRA_GOTO, uint32(r.Goto))
	}
	if r.Other != "" {
		m = append(m, r.Other[2:]...)
	}
	return m
}

// routeMessage has all that the route has (rtnetlink(7), struct rtmsg).
func routeMessage(kind, flags uint16, k uplinks.RouteKey, r uplinks.Route, link int) message {
	m := newMessage(kind, flags, unix.SizeofRtMsg)
	header := m.body()
	header[0], header[1] = uint8(number(k.Family)), uint8(k.Dst.Bits())
	header[3], header[5], header[6], header[7] = r.TOS, r.Protocol, scopeOf(k, r), uint8(r.Type)
	if kind == unix.RTM_DELROUTE {
		header[6] = unix.RT_SCOPE_NOWHERE // whatever it has
	}
	if r.From.IsValid() {
		header[2] = uint8(r.From.Bits())
		m.address(unix.RTA_SRC, r.From.Addr())
	}
	if r.OnLink {
		order.PutUint32(header[8:], unix.RTNH_F_ONLINK)
	}
	m.address(unix.RTA_DST, k.Dst.Addr())
	if r.Src.IsValid() {
		m.address(unix.RTA_PREFSRC, r.Src)
	}
	m.gateway(k.Family, r.Gateway)
	m.word(unix.RTA_TABLE, uint32(k.Table))
	if k.Metric != 0 {
		m.word(unix.RTA_PRIORITY, k.Metric)
	}
	if r.MTU|r.AdvMSS != 0 {
		m.attribute(unix.RTA_METRICS, metrics(r))
	}
	m.word(unix.RTA_OIF, uint32(link))
	return m
}

// scopeOf is the scope of a route of ours: IPv4 needs "link" where there is no gateway, IPv6 has none.
func scopeOf(k uplinks.RouteKey, r uplinks.Route) uint8 {
	if k.Family == uplinks.IPv4 && r.Type == uplinks.Unicast && !r.Gateway.IsValid() {
		return unix.RT_SCOPE_LINK
	}
	return unix.RT_SCOPE_UNIVERSE
}

// gateway may be an IPv6 one of an IPv4 route (RFC 5549).
func (m *message) gateway(f uplinks.Family, gw netip.Addr) {
	switch {
	case !gw.IsValid():
	case uplinks.FamilyOf(gw) != f:
		m.attribute(unix.RTA_VIA, append(order.AppendUint16(nil, unix.AF_INET6), gw.AsSlice()...))
	default:
		m.address(unix.RTA_GATEWAY, gw)
	}
}

func metrics(r uplinks.Route) []byte {
	var m message
	if r.MTU != 0 {
		m.word(unix.RTAX_MTU, r.MTU)
	}
	if r.AdvMSS != 0 {
		m.word(unix.RTAX_ADVMSS, r.AdvMSS)
	}
	return m
}
