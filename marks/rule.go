package marks

// Rule is one line of a mangle chain. Two rules are the same exactly when they are ==. The zero value of a field
// does not match on it; the zero Rule matches every packet and only counts it.
type Rule struct {
	In, Out  string   // -i, -o: a link's name; with a + behind it, all whose names begin so
	SrcGroup uint32   // -m devgroup --src-group
	Fwmark   MarkTest // -m mark: the packet's own
	Ctmark   MarkTest // -m connmark: its connection's
	Dir      string   // -m conntrack --ctdir: ORIGINAL or REPLY
	Young    bool     // -m conntrack ! --ctstatus ASSURED: the connection's first packets
	Target   Target
}

// MarkTest is a test of a mark. The zero MarkTest lets all pass.
type MarkTest struct {
	Not  bool
	Mark Mark
	Mask Mask
}

// Target is what a rule does with a packet that it matches. The zero Target only counts it.
type Target struct {
	Verb  Verb
	Chain string // Jump, Goto
	Mark  Mark   // SetCtmark
	Mask  Mask   // SetCtmark, RestoreMark, SaveMark
}

// Verb is the kind of a Target.
type Verb uint8

// What a rule can do. A Goto is a Jump that does not come back. SetCtmark writes the bits under the mask of the connection's mark; RestoreMark copies them to
// the packet's fwmark, SaveMark back from there. Bits outside the mask stay as they were (xt_CONNMARK).
const (
	Count Verb = iota
	Jump
	Goto
	Return
	SetCtmark
	RestoreMark
	SaveMark
)

// String prints the rule as iptables-save(8) does, without the leading -A CHAIN.
func (r Rule) String() string {
	w := make(words, 0, 128)
	if r.In != "" {
		w.add("-i ", r.In)
	}
	if r.Out != "" {
		w.add("-o ", r.Out)
	}
	if r.SrcGroup != 0 {
		w.add("-m devgroup --src-group ", hex(r.SrcGroup))
	}
	if r.Fwmark != (MarkTest{}) {
		w.add("-m mark ", r.Fwmark.String())
	}
	if r.Ctmark != (MarkTest{}) {
		w.add("-m connmark ", r.Ctmark.String())
	}
	if r.Dir != "" || r.Young {
		w.add("-m conntrack")
	}
	if r.Young {
		w.add("! --ctstatus ASSURED")
	}
	if r.Dir != "" {
		w.add("--ctdir ", r.Dir)
	}
	if r.Target.Verb != Count {
		w.add(r.Target.String())
	}
	return string(w)
}

// words is a line of words.
type words []byte

func (w *words) add(parts ...string) {
	if len(*w) > 0 {
		*w = append(*w, ' ')
	}
	for _, p := range parts {
		*w = append(*w, p...)
	}
}

// String prints the test as iptables-save(8) does.
func (c MarkTest) String() string {
	not := ""
	if c.Not {
		not = "! "
	}
	return not + "--mark " + c.Mark.String() + "/" + c.Mask.String()
}

// String prints the target as iptables-save(8) does.
func (t Target) String() string {
	switch t.Verb {
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
