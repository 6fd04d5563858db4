package rpdb

import "fmt"

// mismatch returns the first selector that the packet does not match, with the value of the packet, or "" when it matches
// all of them. It ignores "not". The order is that of the kernel (fib_rule_match, fib4_rule_match, fib6_rule_match).
func (r *Rule) mismatch(p Packet) string {
	switch {
	case r.In != "" && r.In != p.ingress() && (p.VRF == "" || r.In != p.VRF):
		return "in by " + p.ingress()
	case r.Out != "" && r.Out != p.Out && (p.Out == "" || r.Out != p.VRF):
		if p.Out == "" {
			return "bound to no link"
		}
		return "bound to " + p.Out
	case (r.Mark^p.Mark)&r.Mask != 0:
		return fmt.Sprintf("mark %#x", p.Mark)
	case r.Tunnel != 0:
		return "not from a tunnel"
	case r.L3mdev && p.VRF == "":
		return "in no VRF"
	case r.UIDs != nil && (p.UID < r.UIDs.First || p.UID > r.UIDs.Last):
		return fmt.Sprintf("uid %d", p.UID)
	case r.From.IsValid() && r.From.Bits() > 0 && !r.From.Contains(p.source()):
		if !p.From.IsValid() {
			return "no source chosen yet"
		}
		return fmt.Sprintf("from %s", p.From)
	case r.To.IsValid() && !r.To.Contains(p.To):
		return fmt.Sprintf("to %s", p.To)
	}
	return r.transportMismatch(p)
}

// transportMismatch returns the mismatch of the selectors that IPv4 and IPv6 evaluate last.
func (r *Rule) transportMismatch(p Packet) string {
	switch {
	case (r.TOS^p.TOS)&r.TOSMask != 0:
		return fmt.Sprintf("tos %#x", p.TOS)
	case r.FlowLabel&r.FlowLabelMask != 0:
		return "flow label 0"
	case r.Proto != 0 && r.Proto != p.Proto:
		return ProtocolName(p.Proto)
	case !r.Sport.contains(p.Sport):
		return fmt.Sprintf("sport %d", p.Sport)
	case !r.Dport.contains(p.Dport):
		return fmt.Sprintf("dport %d", p.Dport)
	}
	return ""
}
