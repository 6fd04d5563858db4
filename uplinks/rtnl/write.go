package rtnl

import (
	"errors"
	"fmt"
	"net/netip"
	"strconv"

	"replypath/uplinks"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

// AddRule adds the rule.
func (h *Handle) AddRule(r uplinks.Rule) error { return h.h.RuleAdd(toRule(r)) }

// DelRule deletes the rule. It is no error when it is gone already.
func (h *Handle) DelRule(r uplinks.Rule) error {
	if r.Other == "" {
		return gone(h.h.RuleDel(toRule(r)))
	}
	return gone(delForeign(r))
}

// gone takes for done what the kernel says when the object to delete is not there.
func gone(err error) error {
	if errors.Is(err, unix.ENOENT) || errors.Is(err, unix.ESRCH) || errors.Is(err, unix.ENODEV) {
		return nil
	}
	return err
}

func toRule(r uplinks.Rule) *netlink.Rule {
	n := netlink.NewRule()
	n.Family = number(r.Family)
	n.Priority = int(r.Priority)
	n.Protocol = uplinks.Protocol
	n.Invert = r.Not
	n.IifName = r.In
	n.Table = -1
	n.Type = uint8(r.Action)
	if r.From.IsValid() {
		n.Src = ipNet(r.From)
	}
	if r.Mask != 0 {
		mask := uint32(r.Mask)
		n.Mark, n.Mask = uint32(r.Mark), &mask
	}
	switch r.Action {
	case uplinks.Lookup:
		n.Table = int(r.Table)
	case uplinks.Goto:
		n.Goto = int(r.Goto)
	}
	n.SuppressPrefixlen = int(r.SuppressLength)
	n.SuppressIfgroup = int(r.SuppressGroup)
	return n
}

// delForeign deletes a rule that has more to it than we ever write, by the very attributes that the kernel gave.
func delForeign(r uplinks.Rule) error {
	msg := nl.NewRtMsg()
	msg.Family, msg.Type, msg.Protocol, msg.Scope, msg.Table = uint8(number(r.Family)), uint8(r.Action), 0, 0, 0
	msg.Tos, msg.Dst_len = r.Other[0], r.Other[1]
	if r.Not {
		msg.Flags |= flagInvert
	}
	req := nl.NewNetlinkRequest(unix.RTM_DELRULE, unix.NLM_F_ACK)
	req.AddData(msg)
	word := func(attr int, v uint32) { req.AddData(nl.NewRtAttr(attr, nl.Uint32Attr(v))) }
	word(nl.FRA_PRIORITY, uint32(r.Priority))
	req.AddData(nl.NewRtAttr(nl.FRA_PROTOCOL, nl.Uint8Attr(uplinks.Protocol)))
	if r.From.IsValid() {
		msg.Src_len = uint8(r.From.Bits())
		req.AddData(nl.NewRtAttr(nl.FRA_SRC, r.From.Addr().AsSlice()))
	}
	if r.Mask != 0 {
		word(nl.FRA_FWMARK, uint32(r.Mark))
		word(nl.FRA_FWMASK, uint32(r.Mask))
	}
	if r.Table != 0 {
		word(nl.FRA_TABLE, uint32(r.Table))
	}
	if r.In != "" {
		req.AddData(nl.NewRtAttr(nl.FRA_IIFNAME, []byte(r.In+"\x00")))
	}
	req.AddRawData([]byte(r.Other[2:]))
	_, err := req.Execute(unix.NETLINK_ROUTE, 0)
	return err
}

// SetRoute adds the route, or replaces the one with its key.
func (h *Handle) SetRoute(k uplinks.RouteKey, r uplinks.Route) error {
	n, err := h.toRoute(k, r)
	if err != nil {
		return err
	}
	return h.h.RouteReplace(n)
}

// DelRoute deletes the route. It is no error when it is gone already.
func (h *Handle) DelRoute(k uplinks.RouteKey, r uplinks.Route) error {
	n, err := h.toRoute(k, r)
	if errors.As(err, &netlink.LinkNotFoundError{}) {
		return nil
	}
	if err != nil {
		return err
	}
	return gone(h.h.RouteDel(n))
}

func (h *Handle) toRoute(k uplinks.RouteKey, r uplinks.Route) (*netlink.Route, error) {
	n := &netlink.Route{
		Family:   number(k.Family),
		Table:    int(k.Table),
		Dst:      ipNet(k.Dst),
		Priority: int(k.Metric),
		Type:     int(r.Type),
		Protocol: netlink.RouteProtocol(r.Protocol),
		MTU:      int(r.MTU),
		AdvMSS:   int(r.AdvMSS),
	}
	setGateway(n, k.Family, r.Gateway)
	if r.Src.IsValid() {
		n.Src = r.Src.AsSlice()
	}
	if r.OnLink {
		n.Flags = int(netlink.FLAG_ONLINK)
	}
	n.Scope = scope(*n)
	if r.Link == "" {
		return n, nil
	}
	var err error
	n.LinkIndex, err = h.Index(r.Link)
	return n, err
}

func setGateway(n *netlink.Route, f uplinks.Family, gw netip.Addr) {
	switch {
	case !gw.IsValid():
	case uplinks.FamilyOf(gw) != f:
		n.Via = &netlink.Via{AddrFamily: unix.AF_INET6, Addr: gw.AsSlice()}
	default:
		n.Gw = gw.AsSlice()
	}
}

// SetGroup puts the link with that number into a group, given as text.
func (h *Handle) SetGroup(link int, group string) error {
	n, err := strconv.ParseUint(group, 10, 31)
	if err != nil {
		return fmt.Errorf("group of link %d: %w", link, err)
	}
	return h.h.LinkSetGroup(&netlink.GenericLink{LinkAttrs: netlink.LinkAttrs{Index: link}}, int(n))
}
