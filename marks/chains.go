package marks

// Prefix starts the name of every chain of ours. Whatever carries it is ours to change and to remove.
const Prefix = "REPLYPATH-"

// The chains that are always there, all in the mangle table. With many links New has some below it, and Post too.
const (
	Pre  = Prefix + "PRE"  // from PREROUTING: a question's connection gets its mark, every packet gets its connection's
	New  = Prefix + "NEW"  // from Pre: which mark, by the link that the question came in on
	Out  = Prefix + "OUT"  // from OUTPUT: the host's own packets get their connection's mark, or give it theirs
	Post = Prefix + "POST" // from POSTROUTING, a connection's first replies alone: which link's counter, by its mark
)

// MangleTable is the iptables table that all our chains are in: one restore of it is atomic.
const MangleTable = "mangle"

// Unreadable stands for the rules of a chain of ours that iptables cannot print. They are not as we wrote them.
const Unreadable = "(what iptables cannot print)"

// Chain is a chain of ours and what it holds.
type Chain struct {
	Name  string
	Rules []Rule
}

// Ingress is a link that questions come in on, and the mark that their connections get.
type Ingress struct {
	Link string
	Mark Mark
}

// MaxLinear is up to how many alternatives a chain asks for one after the other. More are asked for in two steps.
const MaxLinear = 15

// Chains is what packets meet on a host with these ingress links, whose link group is group. An established packet
// meets two rules and the jump in PREROUTING, as many in OUTPUT, and the hook in POSTROUTING, however many links there
// are.
//
// A connection gets its mark from the first packet of its original direction that we see, not only from a NEW one:
// conntrack calls a question ESTABLISHED as soon as any answer was tried, so one whose first answer strayed before
// our rules were there (at boot, or in the moment between a foreign flush and our repair) would never get its mark.
//
// What the host itself begins with a mark of ours (SO_MARK) gives it to its connection, so that the source check sees it
// on the answers. A connection that has a mark keeps it. The packet's own mark is looked at first: most have none, and
// it costs least.
func Chains(mask Mask, group uint32, ingress []Ingress) []Chain {
	anyMark := MarkMatch{Not: true, Mask: mask}
	restore := Rule{Ctmark: anyMark, Action: Action{Kind: RestoreMark, Mask: mask}}
	save := Rule{Fwmark: anyMark, Ctmark: MarkMatch{Mask: mask}, Action: Action{Kind: SaveMark, Mask: mask}}
	chains := make([]Chain, 0, 8+2*len(ingress))
	chains = append(chains,
		Chain{Pre, []Rule{
			{SrcGroup: group, Ctmark: MarkMatch{Mask: mask}, Dir: "ORIGINAL", Action: Action{Kind: Jump, Chain: New}},
			restore,
		}},
		Chain{Out, []Rule{save, restore}},
	)
	chains = addIngressDispatch(chains, New, mask, ingress)
	return addReplyCounters(chains, mask, ingress)
}
