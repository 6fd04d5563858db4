package marks

// Prefix starts the name of every chain of ours. Whatever carries it is ours to change and to remove.
const Prefix = "REPLYPATH-"

// The chains, all in the mangle table.
const (
	Pre  = Prefix + "PRE"  // from PREROUTING: a question's connection gets its mark, every packet gets its connection's
	New  = Prefix + "NEW"  // from Pre: which mark, by the link that the question came in on
	Out  = Prefix + "OUT"  // from OUTPUT: the host's own packets get their connection's mark, or give it theirs
	Post = Prefix + "POST" // from POSTROUTING: lets only a connection's first replies pass on to Seen
	Seen = Prefix + "SEEN" // from Post: counts them, by the link that they leave by
)

// Table is the iptables table that all our chains are in: one restore of it is atomic.
const Table = "mangle"

// Chain is a chain of ours and what it holds.
type Chain struct {
	Name  string
	Rules []Rule
}

// Hook is a jump from a built-in chain to one of ours.
type Hook struct{ Builtin, Chain string }

// Hooks are our jumps, in the order in which a packet meets them.
var Hooks = [...]Hook{{"PREROUTING", Pre}, {"OUTPUT", Out}, {"POSTROUTING", Post}}

// Ingress is a link that questions come in on, and the mark that their connections get.
type Ingress struct {
	Link string
	Mark Mark
}

// Chains is what packets meet on a host with these ingress links, whose link group is group. An established packet
// meets two rules and the jump in PREROUTING, as many in OUTPUT, one and the jump in POSTROUTING, however many links
// there are.
//
// A connection gets its mark from the first packet of its original direction that we see, not only from a NEW one:
// conntrack calls a question ESTABLISHED as soon as any answer was tried, so one whose first answer strayed before
// our rules were there (at boot, or in the moment between a foreign flush and our repair) would never get its mark.
//
// What the host itself begins with a mark of ours (SO_MARK) gives it to its connection, so that the source check sees it
// on the answers. A connection that has a mark keeps it. The packet's own mark is looked at first: most have none, and
// it costs least.
func Chains(mask Mask, group uint32, ingress []Ingress) []Chain {
	marked := MarkTest{Not: true, Mask: mask}
	restore := Rule{Ctmark: marked, Target: Target{Verb: RestoreMark, Mask: mask}}
	save := Rule{Fwmark: marked, Ctmark: MarkTest{Mask: mask}, Target: Target{Verb: SaveMark, Mask: mask}}
	learn := make([]Rule, 0, len(ingress))
	seen := make([]Rule, 0, len(ingress)+1)
	for _, in := range ingress {
		learn = append(learn, Rule{In: in.Link, Target: Target{Verb: SetCtmark, Mark: in.Mark, Mask: mask}})
		seen = append(seen, Rule{Out: in.Link, Ctmark: MarkTest{Mark: in.Mark, Mask: mask}, Target: Target{Verb: Return}})
	}
	// Whatever no rule above took strays; the last rule counts it.
	seen = append(seen, Rule{Target: Target{Verb: Return}})
	return []Chain{
		{Pre, []Rule{
			{SrcGroup: group, Ctmark: MarkTest{Mask: mask}, Dir: "ORIGINAL", Target: Target{Verb: Jump, Chain: New}},
			restore,
		}},
		{New, learn},
		{Out, []Rule{save, restore}},
		{Post, []Rule{{Ctmark: marked, Dir: "REPLY", Young: true, Target: Target{Verb: Jump, Chain: Seen}}}},
		{Seen, seen},
	}
}

// Names are all chains that we make.
var Names = [...]string{Pre, New, Out, Post, Seen}
