package marks

import (
	"net/netip"
	"strconv"
)

// Rule is one rule of a mangle chain. Rules are comparable by ==. A field that is zero does not match on its property;
// the zero Rule matches every packet and only counts it.
type Rule struct {
	In, Out string // -i, -o: a link's name; a trailing + matches all names with that prefix
	NotIn   bool   // ! -i: In is any other link, or none
	MAC     string // -m mac --mac-source: the sender of the Ethernet frame, in lower case
	// MACBit is -m bpf: this bit of the sender of the Ethernet frame is 1; the last one is bit 1. See MACBitProgram.
	MACBit   uint8
	SrcGroup uint32 // -m devgroup --src-group
	// NotSrcGroup is ! --src-group: SrcGroup is another group.
	NotSrcGroup bool
	DstGroup    uint32    // -m devgroup --dst-group
	Fwmark      MarkMatch // -m mark: the packet's mark
	Ctmark      MarkMatch // -m connmark: the connection's mark
	Dir         string    // -m conntrack --ctdir: ORIGINAL or REPLY
	NotAssured  bool      // -m conntrack ! --ctstatus ASSURED: the first packets of a connection
	Assured     bool      // -m conntrack --ctstatus ASSURED: all others
	// ReplyTo is -m conntrack --ctrepldst: the connection's replies are addressed to this network. Unlike the source of
	// the original direction, it is what source address translation has made of the sender.
	ReplyTo netip.Prefix
	// OrigFrom is -m conntrack --ctorigsrc: the connection's first packet was sent from this network.
	OrigFrom netip.Prefix
	Cluster  Cluster // -m cluster: the sender's share of all senders
	IPsec    bool    // -m policy --dir out --pol ipsec: an IPsec policy transforms the packet behind POSTROUTING
	Packet   PacketMatch
	Action   Action
	// Opaque is a rule that this type cannot express, as the backend prints it. Another program added it to a chain
	// of replypath. All other fields are then zero.
	Opaque string
}

// PacketMatch compares the headers of a packet and the state of its connection, for the rules of interception. The zero
// PacketMatch matches every packet.
type PacketMatch struct {
	Src, Dst netip.Prefix // -s, -d
	SrcBit   uint8        // -s under a mask of one bit: this bit of the IPv6 source is 1; the last one is bit 1
	Proto    string       // -p: tcp, udp, icmp, ipv6-icmp
	// Ports are those of -m multiport --dports: up to 15, a range counts as two.
	Ports    List[PortRange]
	SrcType  AddrType // -m addrtype --src-type
	DstType  AddrType // -m addrtype --dst-type
	NotState bool     // ! --ctstate
	State    string   // -m conntrack --ctstate: NEW, RELATED, DNAT
}

// AddrType is a type of addresses as the routing tables have it (ip-route(8)), such as LOCAL.
type AddrType struct {
	Not  bool
	Type string
}

// MarkMatch compares a mark under a mask. The zero MarkMatch matches every mark.
type MarkMatch struct {
	Not  bool
	Mark Mark
	Mask Mask
}

// Action is applied to the packets that a rule matches. The zero Action only counts them.
type Action struct {
	Kind  ActionKind
	Chain string // Jump, Goto
	Mark  Mark   // SetCtmark, SetMark, TProxy
	Mask  Mask   // SetCtmark, SetMark, RestoreMark, SaveMark, TProxy
	// Proxy is the local socket to which TProxy gives the packet. The address 0.0.0.0 or :: is the first one of the packet's
	// ingress link, or any.
	Proxy netip.AddrPort
}

// ActionKind is the kind of an Action.
type ActionKind uint8

// The kinds of actions. Goto is a Jump without return. SetCtmark writes the bits under the mask of the connection's
// mark; RestoreMark copies them from the connection's mark to the packet's, SaveMark copies them back. Bits outside the
// mask are preserved (net/netfilter/xt_connmark.c). SetMark writes the bits of the packet's mark. TProxy does so too, gives
// the packet to a local socket and ends the traversal; without a socket that may take it the packet is dropped
// (net/netfilter/xt_TPROXY.c). Drop drops it. Masquerade
// gives the connection the primary address of the egress link as its source; it is for MasqTable only.
const (
	Count ActionKind = iota
	Jump
	Goto
	Return
	SetCtmark
	RestoreMark
	SaveMark
	SetMark
	TProxy
	Drop
	Masquerade
)

// String formats the rule as iptables-save(8) does, without the leading -A CHAIN.
func (r Rule) String() string {
	if r.Opaque != "" {
		return r.Opaque
	}
	w := make(ruleLine, 0, 128)
	w.addPrefix("-s ", r.Packet.Src)
	if r.Packet.SrcBit != 0 {
		w.add("-s ", sourceBitText(r.Packet.SrcBit))
	}
	w.addPrefix("-d ", r.Packet.Dst)
	switch {
	case r.NotIn:
		w.add("! -i ", r.In)
	case r.In != "":
		w.add("-i ", r.In)
	}
	if r.Out != "" {
		w.add("-o ", r.Out)
	}
	w.addPacketMatch(r.Packet)
	if r.MAC != "" {
		w.add("-m mac --mac-source ", r.MAC)
	}
	if r.MACBit != 0 {
		w.add("-m bpf --bytecode ", macBitText(r.MACBit))
	}
	switch {
	case r.NotSrcGroup:
		w.add("-m devgroup ! --src-group ", hex(r.SrcGroup))
	case r.SrcGroup != 0:
		w.add("-m devgroup --src-group ", hex(r.SrcGroup))
	}
	if r.DstGroup != 0 {
		w.add("-m devgroup --dst-group ", hex(r.DstGroup))
	}
	if r.Fwmark != (MarkMatch{}) {
		w.add("-m mark ", r.Fwmark.String())
	}
	if r.Ctmark != (MarkMatch{}) {
		w.add("-m connmark ", r.Ctmark.String())
	}
	w.addConntrackMatch(r)
	if r.IPsec {
		w.add("-m policy --dir out --pol ipsec")
	}
	if r.Cluster != (Cluster{}) {
		w.add(r.Cluster.String())
	}
	if r.Action.Kind != Count {
		w.add(r.Action.String())
	}
	return string(w)
}

// addConntrackMatch adds the options of -m conntrack.
func (w *ruleLine) addConntrackMatch(r Rule) {
	if r.Dir != "" || r.NotAssured || r.Assured || r.ReplyTo.IsValid() || r.Packet.State != "" || r.OrigFrom.IsValid() {
		w.add("-m conntrack")
	}
	w.addPrefix("--ctorigsrc ", r.OrigFrom)
	switch {
	case r.Packet.NotState:
		w.add("! --ctstate ", r.Packet.State)
	case r.Packet.State != "":
		w.add("--ctstate ", r.Packet.State)
	}
	w.addPrefix("--ctrepldst ", r.ReplyTo)
	if r.NotAssured {
		w.add("! --ctstatus ASSURED")
	}
	if r.Assured {
		w.add("--ctstatus ASSURED")
	}
	if r.Dir != "" {
		w.add("--ctdir ", r.Dir)
	}
}

// ruleLine joins options by spaces.
type ruleLine []byte

func (w *ruleLine) add(parts ...string) {
	if len(*w) > 0 {
		*w = append(*w, ' ')
	}
	for _, p := range parts {
		*w = append(*w, p...)
	}
}

// String formats the match as iptables-save(8) does.
func (m MarkMatch) String() string {
	not := ""
	if m.Not {
		not = "! "
	}
	return not + "--mark " + m.Mark.String() + "/" + m.Mask.String()
}

// String formats the action as iptables-save(8) does.
func (a Action) String() string {
	switch a.Kind {
	case Jump:
		return "-j " + a.Chain
	case Goto:
		return "-g " + a.Chain
	case Return:
		return "-j RETURN"
	case SetCtmark:
		return "-j CONNMARK --set-xmark " + a.Mark.String() + "/" + a.Mask.String()
	case Masquerade:
		return "-j MASQUERADE"
	case RestoreMark:
		return "-j CONNMARK --restore-mark --nfmask " + a.Mask.String() + " --ctmask " + a.Mask.String()
	case SaveMark:
		return "-j CONNMARK --save-mark --nfmask " + a.Mask.String() + " --ctmask " + a.Mask.String()
	case SetMark:
		return "-j MARK --set-xmark " + a.Mark.String() + "/" + a.Mask.String()
	case TProxy:
		return "-j TPROXY --on-port " + strconv.Itoa(int(a.Proxy.Port())) + " --on-ip " + a.Proxy.Addr().String() + " --tproxy-mark " + a.Mark.String() + "/" + a.Mask.String()
	case Drop:
		return "-j DROP"
	}
	return a.mapString()
}
