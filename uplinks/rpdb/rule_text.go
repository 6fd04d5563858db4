package rpdb

import (
	"fmt"
	"net/netip"
	"strings"

	"replypath/uplinks"
)

// String returns the rule as ip-rule(8) prints it, without priority and protocol.
func (r *Rule) String() string { return r.Text(Names{}) }

// Text returns the same as String, with tables by their names.
func (r *Rule) Text(n Names) string {
	var w []string
	if r.Not {
		w = append(w, "not")
	}
	w = append(w, "from "+prefixText(r.From))
	if r.To.IsValid() {
		w = append(w, "to "+prefixText(r.To))
	}
	w = append(w, r.selectors()...)
	w = append(w, r.actionText(n))
	if r.SuppressLength != uplinks.NoSuppress {
		w = append(w, fmt.Sprintf("suppress_prefixlength %d", r.SuppressLength))
	}
	if r.SuppressGroup != uplinks.NoSuppress {
		w = append(w, fmt.Sprintf("suppress_ifgroup %d", r.SuppressGroup))
	}
	return strings.Join(w, " ")
}

func (r *Rule) selectors() (w []string) {
	add := func(has bool, format string, args ...any) {
		if has {
			w = append(w, fmt.Sprintf(format, args...))
		}
	}
	add(r.TOSMask != 0 && !r.DSCP, "tos %#x", r.TOS)
	add(r.TOSMask != 0 && r.DSCP, "dscp %#x/%#x", r.TOS>>2, r.TOSMask>>2)
	add(r.FlowLabelMask != 0, "flowlabel %#x/%#x", r.FlowLabel, r.FlowLabelMask)
	add(r.Mask != 0, "fwmark %#x/%#x", r.Mark, r.Mask)
	add(r.In != "", "iif %s", r.In)
	add(r.Out != "", "oif %s", r.Out)
	add(r.Tunnel != 0, "tun_id %d", r.Tunnel)
	if r.UIDs != nil {
		add(true, "uidrange %d-%d", r.UIDs.First, r.UIDs.Last)
	}
	add(r.Proto != 0, "ipproto %s", ProtocolName(r.Proto))
	add(r.Sport != PortRange{}, "sport %s", r.Sport)
	add(r.Dport != PortRange{}, "dport %s", r.Dport)
	for _, u := range r.UnknownAttrs {
		add(true, "(attribute %d)", u)
	}
	return w
}

func (r *Rule) actionText(n Names) string {
	switch {
	case r.L3mdev:
		return "lookup [l3mdev-table]"
	case r.Action == uplinks.Lookup:
		return "lookup " + n.TableName(r.Table)
	case r.Action == uplinks.Goto:
		return fmt.Sprintf("goto %d", r.Goto)
	}
	return r.Action.String()
}

// String returns the ports as ip-rule(8) prints them.
func (p PortRange) String() string {
	switch {
	case p.Mask != 0 && p.Mask != 0xffff:
		return fmt.Sprintf("%d/%#x", p.First, p.Mask)
	case p.First == p.Last || p.Mask != 0:
		return fmt.Sprint(p.First)
	}
	return fmt.Sprintf("%d-%d", p.First, p.Last)
}

// prefixText returns "all" for an invalid prefix, and omits the length of a single address.
func prefixText(p netip.Prefix) string {
	switch {
	case !p.IsValid():
		return "all"
	case p.IsSingleIP():
		return p.Addr().String()
	}
	return p.String()
}
