package marks

// Rule is one line of a mangle chain. Two rules are the same exactly when they are ==. The zero value of a field
// does not match on it; the zero Rule matches every packet and only counts it.
type Rule struct {
	In, Out    string    // -i, -o: a link's name; with a + behind it, all whose names begin so
	SrcGroup   uint32    // -m devgroup --src-group
	Fwmark     MarkMatch // -m mark: the packet's own
	Ctmark     MarkMatch // -m connmark: its connection's
	Dir        string    // -m conntrack --ctdir: ORIGINAL or REPLY
	NotAssured bool      // -m conntrack ! --ctstatus ASSURED: the connection's first packets
	Action     Action
}

// MarkMatch is a test of a mark. The zero MarkMatch lets all pass.
type MarkMatch struct {
	Not  bool
	Mark Mark
	Mask Mask
}

// Action is what a rule does with a packet that it matches. The zero Action only counts it.
type Action struct {
	Kind  ActionKind
	Chain string // Jump, Goto
	Mark  Mark   // SetCtmark
	Mask  Mask   // SetCtmark, RestoreMark, SaveMark
}

// ActionKind is the kind of a Action.
type ActionKind uint8

// What a rule can do. A Goto is a Jump that does not come back. SetCtmark writes the bits under the mask of the connection's mark; RestoreMark copies them to
// the packet's fwmark, SaveMark back from there. Bits outside the mask stay as they were (xt_CONNMARK).
const (
	Count ActionKind = iota
	Jump
	Goto
	Return
	SetCtmark
	RestoreMark
	SaveMark
)

// String prints the rule as iptables-save(8) does, without the leading -A CHAIN.
func (r Rule) String() string {
	w := make(ruleLine, 0, 128)
	if r.In != "" {
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
	if r.Dir != "" || r.NotAssured {
		w.add("-m conntrack")
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

// ruleLine is a line of words.
type ruleLine []byte

func (w *ruleLine) add(parts ...string) {
	if len(*w) > 0 {
		*w = append(*w, ' ')
	}
	for _, p := range parts {
		*w = append(*w, p...)
	}
}

// String prints the test as iptables-save(8) does.
func (m MarkMatch) String() string {
	not := ""
	if m.Not {
		not = "! "
	}
	return not + "--mark " + m.Mark.String() + "/" + m.Mask.String()
}

// String prints the target as iptables-save(8) does.
func (t Action) String() string {
	switch t.Kind {
	case Jump:
		return "-j " + t.Chain
	case Goto:
		return "-g " + t.Chain
	case Return:
		return "-j RETURN"
	case SetCtmark:
		return "-j CONNMARK --set-xmark " + t.Mark.String() + "/" + t.Mask.String()
	case RestoreMark:
		return "-j CONNMARK --restore-mark --nfmask " + t.Mask.String() + " --ctmask " + t.Mask.String()
	case SaveMark:
		return "-j CONNMARK --save-mark --nfmask " + t.Mask.String() + " --ctmask " + t.Mask.String()
	}
	return ""
}
