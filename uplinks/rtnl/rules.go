package rtnl

import (
	"context"
	"fmt"
	"net/netip"
	"syscall"

	"replypath/marks"
	"replypath/uplinks"

	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

// fibRuleInvert is FIB_RULE_INVERT (linux/fib_rules.h).
const fibRuleInvert = 0x2

// listRules gives the messages of a family's rules, in the order in which the kernel asks them.
func (h *Handle) listRules(ctx context.Context, f uplinks.Family) (msgs [][]byte, err error) {
	err = dump(ctx, f.String()+" rules", func() (err error) {
		req := h.request(unix.RTM_GETRULE, unix.NLM_F_DUMP)
		req.AddData(&nl.RtMsg{RtMsg: unix.RtMsg{Family: uint8(addressFamily(f))}})
		msgs, err = req.Execute(unix.NETLINK_ROUTE, unix.RTM_NEWRULE)
		return err
	})
	return msgs, err
}

// readRules reads a family's rules by a dump of its own: the library's forgets the action and most attributes, so that
// a rule that somebody changed would look like ours.
func (h *Handle) readRules(ctx context.Context, f uplinks.Family, facts *uplinks.Facts, have *uplinks.State) error {
	msgs, err := h.listRules(ctx, f)
	if err != nil {
		return err
	}
	for _, m := range msgs {
		r, protocol, err := parseRule(m, f)
		if err != nil {
			return fmt.Errorf("read %s rules: %w", f, err)
		}
		if protocol == uplinks.Protocol {
			have.Rules[r] = true
		} else {
			facts.ForeignRules = append(facts.ForeignRules, r)
			if facts.RuleProtocols == nil {
				facts.RuleProtocols = map[uplinks.Rule]uint8{}
			}
			facts.RuleProtocols[r] = protocol
		}
	}
	return nil
}

func parseRule(m []byte, f uplinks.Family) (r uplinks.Rule, protocol uint8, err error) {
	header := nl.DeserializeRtMsg(m)
	attrs, err := nl.ParseRouteAttr(m[header.Len():])
	if err != nil {
		return r, 0, err
	}
	r = uplinks.Rule{Family: f, Action: uplinks.Action(header.Type), Not: header.Flags&fibRuleInvert != 0,
		SuppressLength: uplinks.NoSuppress, SuppressGroup: uplinks.NoSuppress}
	var unwritten []byte
	for _, a := range attrs {
		if a.Attr.Type == nl.FRA_PROTOCOL {
			protocol = a.Value[0]
		} else if !setRuleAttr(&r, a, header) {
			unwritten = append(unwritten, serializeAttr(a)...)
		}
	}
	if len(unwritten) > 0 || header.Tos != 0 {
		r.Other = string(append([]byte{header.Tos, header.Dst_len}, unwritten...))
	}
	return r, protocol, nil
}

// setRuleAttr reports whether the attribute is one that we write.
func setRuleAttr(r *uplinks.Rule, a syscall.NetlinkRouteAttr, header *nl.RtMsg) bool {
	word := func() uint32 {
		if len(a.Value) < 4 {
			return 0
		}
		return nl.NativeEndian().Uint32(a.Value)
	}
	switch a.Attr.Type {
	case nl.FRA_PRIORITY:
		r.Priority = uplinks.Priority(word())
	case nl.FRA_TABLE:
		r.Table = uplinks.Table(word())
	case nl.FRA_FWMARK:
		r.Mark = marks.Mark(word())
	case nl.FRA_FWMASK:
		r.Mask = marks.Mask(word())
	case nl.FRA_GOTO:
		r.Goto = uplinks.Priority(word())
	case nl.FRA_SUPPRESS_PREFIXLEN:
		r.SuppressLength = int32(word())
	case nl.FRA_SUPPRESS_IFGROUP:
		r.SuppressGroup = int64(word())
	case nl.FRA_IIFNAME:
		r.IIF = unix.ByteSliceToString(a.Value)
	case nl.FRA_SRC:
		ip, _ := netip.AddrFromSlice(a.Value)
		r.From = netip.PrefixFrom(ip, int(header.Src_len))
	case nl.FRA_PAD:
	default:
		return false
	}
	return true
}

// serializeAttr is the attribute as it stood in the message.
func serializeAttr(a syscall.NetlinkRouteAttr) []byte {
	return nl.NewRtAttr(int(a.Attr.Type), a.Value).Serialize()
}
