package foreign

import (
	"net/netip"
	"strings"

	"replypath/marks"
)

// Rule is a firewall rule or flow table of another program, reduced to the properties that can affect replypath.
type Rule struct {
	Tool     string        // the command that lists it: iptables-nft-save, nft list ruleset
	Backend  marks.Backend // of iptables; empty: iptables does not list it
	Location string        // family if nftables, table and chain
	Chain    string
	Text     string
	// Selectors is the whole rule of nftables in the syntax of nft(8), as far as it is decoded.
	Selectors string
	MarkBits  marks.Mask // the bits of fwmark or ctmark that it compares or writes
	// MarkValue is the value that it compares those bits with, or writes to them.
	MarkValue marks.Mark
	// WritesMark reports that it writes a mark, OverwritesMark that it writes all bits and not only MarkBits.
	WritesMark, OverwritesMark bool
	WritesConnmark             bool // it writes ctmark
	// ZeroMarkVerdict reports that it decides on packets by whether their whole fwmark or ctmark is 0.
	ZeroMarkVerdict bool
	// InGroup and OutGroup are the link groups that it compares, as iptables-save prints them: a number, a name, or either
	// with a mask. AnyGroup stands for a set.
	InGroup, OutGroup string
	In, Out           string // the only links that it matches, as far as known; empty: all
	// ChecksReversePath reports that it drops packets whose reverse path is another link, ChecksWithMark that it
	// looks up the reverse path with the packet's mark, at a place where the chains of replypath have set it.
	ChecksReversePath, ChecksWithMark bool
	NoTrack                           bool // it exempts packets from connection tracking
	FlowOffload                       bool // later packets of its connections bypass the firewall
	LoopbackDNAT                      bool // it translates the destination of datagrams to 127.0.0.0/8
	Stateless                         StatelessNAT
	ClampsMSS                         bool // it lowers the MSS of TCP
	SYNProxy                          bool // it answers requests for TCP connections in place of the server
	Zone                              bool // it chooses a zone of connection tracking
	TranslatesDestination             bool // it is DNAT, of any packets
	TranslatesSource                  bool // it is SNAT or MASQUERADE
	// KeepsSource reports that it is a rule of iptables in POSTROUTING that takes packets out of address translation, by other properties
	// than IPsec.
	KeepsSource bool
	// Via are the rules, with a comma between them, by which packets come from POSTROUTING to a rule that translates sources in a chain
	// of others, and what has taken others away before.
	Via string
	// Handle is the number of a rule of nftables in its table.
	Handle uint64
	// Hook is the hook of its chain, in the words of iptables (PREROUTING); empty: other chains jump to its chain.
	Hook string
	// Egress reports that packets meet it after their route is known: in POSTROUTING, or at the egress of a link (netdev).
	Egress bool
	// Ingress reports that packets meet it first, at the ingress of a link.
	Ingress bool
	// Forwarded reports that packets of established connections meet it on their way from link to link.
	Forwarded bool
	// Counts reports that it counts such packets and does nothing else, or that what it does depends on how many there were.
	Counts   bool
	Devices  marks.List[string] // the links of its chain at the ingress or egress of links
	Drops    bool               // it drops or rejects packets
	Forwards bool               // it sends packets by another link
	Rewrites string             // the fields that it overwrites, with a comma between them: ip saddr
	// LinksOnly reports that it selects by links and protocols of the network layer only.
	LinksOnly bool
	// BreaksDiscovery reports that packets of neighbour discovery in IPv6, and no earlier rule takes them, are dropped or get another hop
	// limit than 255 by it: other hosts drop such packets (RFC 4861).
	BreaksDiscovery bool
	Queues          Queues
	// SetPorts are the first ports of the sets by which it selects, or of what other rules send to its chain, where it changes replies.
	SetPorts [maxSetPorts]Port
}

// StatelessNAT is a translation of prefixes without connection tracking (NPTv6, RFC 6296). The zero value is none.
type StatelessNAT struct{ Inside, Outside netip.Prefix }

// AnyGroup is the group of a rule that compares a link's group with the elements of a set.
const AnyGroup = "of a set"

// Relevant reports whether the rule has any property that can affect replypath.
func (r Rule) Relevant() bool {
	return r.MarkBits != 0 || r.InGroup != "" || r.OutGroup != "" || r.ChecksReversePath || r.NoTrack || r.FlowOffload || r.ClampsMSS || r.ChangesEgress() ||
		r.SYNProxy || r.Zone || r.TranslatesDestination || r.TranslatesSource || r.KeepsSource || r.ChangesIngress() || r.BreaksDiscovery || r.Queues.Hands || r.Counts
}

// ChangesEgress reports whether it drops packets, sends them elsewhere or rewrites them after their route is known. Rules that
// translate addresses (NAT) concern new connections and are none.
func (r Rule) ChangesEgress() bool { return r.Egress && r.changesPackets() }

// ChangesIngress reports whether it drops packets, sends them elsewhere or rewrites them at the ingress of a link.
func (r Rule) ChangesIngress() bool { return r.Ingress && r.changesPackets() }

// changesPackets reports whether it drops packets, sends them elsewhere or rewrites them, where its chain is.
func (r Rule) changesPackets() bool { return r.Drops || r.Forwards || r.Rewrites != "" }

// IsIPv6 reports whether ip6tables lists the rule.
func (r Rule) IsIPv6() bool { return strings.HasPrefix(r.Tool, "ip6tables") }

// ByAddress reports whether a rule of iptables selects by addresses, or by what only some clients have.
func (r Rule) ByAddress() bool {
	return selectsByAddress(strings.Fields(quotedText.ReplaceAllString(r.Text, "-")))
}
