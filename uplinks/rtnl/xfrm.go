package rtnl

import (
	"context"
	"errors"
	"net/netip"

	"replypath/marks/nlattr"
	"replypath/uplinks/egress"

	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

// Policies returns the IPsec policies (ip-xfrm(8)) of the network namespace of the calling thread. A kernel without xfrm has
// none.
func Policies(ctx context.Context) (all []egress.Policy, err error) {
	err = dump(ctx, "IPsec policies", func() error {
		all = nil
		req := nl.NewNetlinkRequest(nl.XFRM_MSG_GETPOLICY, unix.NLM_F_DUMP)
		messages, err := req.Execute(unix.NETLINK_XFRM, nl.XFRM_MSG_NEWPOLICY)
		for _, m := range messages {
			if p, ok := parsePolicy(m); ok {
				all = append(all, p)
			}
		}
		return err
	})
	if errors.Is(err, unix.EPROTONOSUPPORT) {
		return nil, nil
	}
	return all, err
}

// parsePolicy decodes a struct xfrm_userpolicy_info and its attributes (linux/xfrm.h). Policies of sockets are none.
func parsePolicy(m []byte) (p egress.Policy, ok bool) {
	const (
		infoSize, selectorSize, templateSize = 168, 56, 64
		priorityAt, directionAt              = 152, 160
		optionalAt                           = 50 // in struct xfrm_user_tmpl
	)
	if len(m) < infoSize {
		return p, false
	}
	selector := m[:selectorSize]
	family := nativeEndian.Uint16(selector[40:])
	p = egress.Policy{
		To: selectorPrefix(selector[:16], family, selector[42]), From: selectorPrefix(selector[16:32], family, selector[43]),
		Dport: uint16(nlattr.Value(selector[32:34]).BigEndian()), DportMask: uint16(nlattr.Value(selector[34:36]).BigEndian()),
		Sport: uint16(nlattr.Value(selector[36:38]).BigEndian()), SportMask: uint16(nlattr.Value(selector[38:40]).BigEndian()),
		Proto: selector[44], Link: int(nativeEndian.Uint32(selector[48:])),
		Priority: nativeEndian.Uint32(m[priorityAt:]), Direction: egress.Direction(m[directionAt]), Block: m[directionAt+1] != 0,
	}
	p.Optional = true
	attrs := m[infoSize:]
	for templates := nlattr.Find(attrs, nl.XFRMA_TMPL); len(templates) >= templateSize; templates = templates[templateSize:] {
		p.Templates++
		p.Optional = p.Optional && templates[optionalAt] != 0
	}
	if mark := nlattr.Find(attrs, nl.XFRMA_MARK); len(mark) >= 8 {
		p.Mark, p.Mask = nativeEndian.Uint32(mark), nativeEndian.Uint32(mark[4:])
	}
	p.Interface = nlattr.Find(attrs, nl.XFRMA_IF_ID).Uint32()
	const perSocket = 3 // XFRM_POLICY_MAX: directions from here on are those of sockets
	return p, p.Direction < perSocket && p.To.IsValid() && p.From.IsValid()
}

// selectorPrefix returns an address of a selector (xfrm_address_t).
func selectorPrefix(b []byte, family uint16, bits uint8) netip.Prefix {
	if family == unix.AF_INET {
		b = b[:4]
	}
	return nlattr.Value(b).Prefix(bits)
}
