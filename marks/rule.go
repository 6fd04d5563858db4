package marks

import "net/netip"

// Rule is one rule of a mangle chain. Rules are comparable by ==. A field that is zero does not match on its property;
// the zero Rule matches every packet and only counts it.
type Rule struct {
	In, Out    string    // -i, -o: a link's name; a trailing + matches all names with that prefix
	NotIn      bool      // ! -i: In is any other link, or none
	SrcGroup   uint32    // -m devgroup --src-group
	Fwmark     MarkMatch // -m mark: the packet's mark
	Ctmark     MarkMatch // -m connmark: the connection's mark
	Dir        string    // -m conntrack --ctdir: ORIGINAL or REPLY
	NotAssured bool      // -m conntrack ! --ctstatus ASSURED: the first packets of a connection
	// ReplyTo is -m conntrack --ctrepldst: the connection's replies are addressed to this network. Unlike the source of
	// the original direction, it is what source address translation has made of the sender.
	ReplyTo netip.Prefix
	Action  Action
	// Opaque is a rule that this type cannot express, as the backend prints it. Another program added it to a chain
	// of replypath. All other fields are then zero.
	Opaque string
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
	Mark  Mark   // SetCtmark
	Mask  Mask   // SetCtmark, RestoreMark, SaveMark
}

// ActionKind is the kind of an Action.
type ActionKind uint8

// The kinds of actions. Goto is a Jump without return. SetCtmark writes the bits under the mask of the connection's
// mark; RestoreMark copies them from the connection's mark to the packet's, SaveMark copies them back. Bits outside the
// mask are preserved (net/netfilter/xt_connmark.c).
const (
	Count ActionKind = iota
	Jump
	Goto
	Return
	SetCtmark
	RestoreMark
	SaveMark
)

// String formats the rule as iptables-save(8) does, without the leading -A CHAIN.
func (r Rule) String() string {
	if r.Opaque != "" {
		return r.Opaque
	}
	w := make(ruleLine, 0, 128)
	switch {
	case r.NotIn:
		w.add("! -i ", r.In)
	case r.In != "":
		w.add("-i ", r.In)
	}
	if r.Out != "" {
		w.add("-o ", r.Out)
	}
	if r.SrcGroup != 0 {
		w.add("-m devgroup --src-group ", hex(r.SrcGroup))
	}
	if r.Fwmark != (MarkMatch{}) {
		w.add("-m mark ", r.Fwmark.String())
	}
	if r.Ctmark != (MarkMatch{}) {
		w.add("-m connmark ", r.Ctmark.String())
	}
	if r.Dir != "" || r.NotAssured || r.ReplyTo.IsValid() {
		w.add("-m conntrack")
	}
	switch {
	case r.ReplyTo.IsSingleIP():
		w.add("--ctrepldst ", r.ReplyTo.Addr().String())
	case r.ReplyTo.IsValid():
		w.add("--ctrepldst ", r.ReplyTo.String())
	}
	if r.NotAssured {
		w.add("! --ctstatus ASSURED")
	}
	if r.Dir != "" {
		w.add("--ctdir ", r.Dir)
	}
	if r.Action.Kind != Count {
		w.add(r.Action.String())
	}
	return string(w)
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
	case RestoreMark:
		return "-j CONNMARK --restore-mark --nfmask " + a.Mask.String() + " --ctmask " + a.Mask.String()
	case SaveMark:
		return "-j CONNMARK --save-mark --nfmask " + a.Mask.String() + " --ctmask " + a.Mask.String()
	}
	return ""
}
