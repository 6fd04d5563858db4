package trap

import (
	"encoding/binary"
	"fmt"
	"math"
	"slices"

	"replypath/marks/nfnetlink"

	"golang.org/x/sys/unix"

	"replypath/health/proof"
)

// The priorities within a hook (linux/netfilter_ipv4.h, enum nf_ip_hook_priorities). The last place is the one before
// conntrack confirms a connection.
const (
	first        = math.MinInt32 + 1
	behindMangle = -149
	beforeMangle = -151
	last         = math.MaxInt32 - 1
)

// chain is a base chain, and the points that it stands for: of questions, of answers.
type chain struct {
	name     string
	hook     uint32 // NF_INET_*
	priority int32
	question proof.Point
	answer   proof.Point
}

var chains = [...]chain{
	{"arrived", unix.NF_INET_PRE_ROUTING, first, proof.Arrived, 0},
	{"marked", unix.NF_INET_PRE_ROUTING, behindMangle, proof.Marked, proof.Returned},
	{"inbound", unix.NF_INET_LOCAL_IN, first, proof.Inbound, 0},
	{"accepted", unix.NF_INET_LOCAL_IN, last, proof.Accepted, 0},
	{"forward", unix.NF_INET_FORWARD, first, proof.Forward, 0},
	{"forwarded", unix.NF_INET_FORWARD, last, proof.Forwarded, 0},
	{"answered", unix.NF_INET_LOCAL_OUT, first, 0, proof.Answered},
	{"sent", unix.NF_INET_LOCAL_OUT, last, 0, proof.Sent},
	{"left", unix.NF_INET_POST_ROUTING, beforeMangle, proof.Bounced, proof.Left},
}

// table is all that is to be made.
func table(b Bait) []message {
	all := []message{{what: "make the table " + Name, kind: unix.NFT_MSG_NEWTABLE, flags: unix.NLM_F_EXCL, body: slices.Concat(
		nfnetlink.Text(unix.NFTA_TABLE_NAME, Name), number(unix.NFTA_TABLE_FLAGS, owned))}}
	all = append(all, ways.make(0), ways.fill(b.links()))
	room := sights * (b.Count + 1)
	for _, f := range families {
		all = append(all, f.asked.make(0), f.walked.make(room), f.left.make(room))
		if keys := b.askers(f); len(keys) > 0 {
			all = append(all, f.asked.fill(keys))
		}
	}
	for _, c := range chains {
		all = append(all, c.make())
		for _, f := range families {
			all = append(all, c.observe(f, c.question, f.from, 0)...)
			all = append(all, c.observe(f, c.answer, f.to, 2)...)
		}
	}
	return all
}

// sights are how many a question has, at the most: two at each point, and those of an answer that comes twice.
const sights = 24

// owned is NFT_TABLE_F_OWNER: the table goes with the socket that made it.
const owned = 0x2

func (c chain) make() message {
	hook := nest(unix.NFTA_CHAIN_HOOK, number(unix.NFTA_HOOK_HOOKNUM, c.hook), number(unix.NFTA_HOOK_PRIORITY, uint32(c.priority)))
	return message{what: "make the chain " + c.name, kind: unix.NFT_MSG_NEWCHAIN, body: slices.Concat(
		nfnetlink.Text(unix.NFTA_CHAIN_TABLE, Name), nfnetlink.Text(unix.NFTA_CHAIN_NAME, c.name), hook, nfnetlink.Text(unix.NFTA_CHAIN_TYPE, "filter"))}
}

// observe sends a family's packets whose address is one of the askers' to a chain of their own: other packets meet two
// rules in each family at most. The asker's port is at that place in the header.
func (c chain) observe(f family, p proof.Point, asker span, port uint32) []message {
	if p == 0 {
		return nil
	}
	own := fmt.Sprintf("%s-%d-%s", c.name, p, f.asked.name)
	which := [][]byte{meta(unix.NFT_META_NFPROTO, 0), is(0, []byte{f.proto}), field(unix.NFT_PAYLOAD_NETWORK_HEADER, asker, 0), in(f.asked, 0)}
	if p == proof.Bounced {
		which = append(which, meta(unix.NFT_META_OIF, 0), in(ways, 0))
	}
	all := []message{
		{what: "make the chain " + own, kind: unix.NFT_MSG_NEWCHAIN, body: slices.Concat(nfnetlink.Text(unix.NFTA_CHAIN_TABLE, Name), nfnetlink.Text(unix.NFTA_CHAIN_NAME, own))},
		rule(c.name, append(which, jump(own))...),
	}
	for _, l4 := range f.transports(port, p < proof.Returned) {
		if l4.number.length == 0 {
			all = append(all, rule(own, append(l4.selects(), ignore(p))...))
			continue
		}
		for _, tracked := range []bool{true, false} {
			all = append(all, rule(own, f.watch(p, asker, l4, tracked)...))
		}
	}
	if p == proof.Bounced || p == proof.Left {
		all = append(all, rule(own, drop()))
	}
	return all
}

// watch notes a packet. Connections are looked at where there is one.
func (f family) watch(p proof.Point, asker span, l4 transport, tracked bool) (rule [][]byte) {
	rule = l4.selects()
	words := int(f.address.words)
	known := func(key uint32, to int) []byte {
		if tracked {
			return ct(key, to)
		}
		return load(to, 0)
	}
	header, body := func(s span, to int) []byte { return field(unix.NFT_PAYLOAD_NETWORK_HEADER, s, to) }, field(unix.NFT_PAYLOAD_TRANSPORT_HEADER, l4.number, 1+words)
	if p == proof.Left {
		body = field(unix.NFT_PAYLOAD_TRANSPORT_HEADER, l4.number, words)
		return append(rule, header(asker, 0), body, header(f.from, words+1), known(unix.NFT_CT_DIRECTION, 2*words+1),
			meta(unix.NFT_META_OIF, 2*words+2), note(f.left), drop())
	}
	rule = append(rule, load(0, uint32(p)), header(asker, 1), body, meta(unix.NFT_META_MARK, words+2),
		known(unix.NFT_CT_MARK, words+3), note(f.walked))
	return append(rule, ignore(p))
}

// ignore lets a packet go on, but for one that would leave.
func ignore(p proof.Point) []byte {
	if p == proof.Bounced {
		return drop()
	}
	return leave()
}

func rule(chain string, expressions ...[]byte) message {
	return message{what: "add a rule to " + chain, kind: unix.NFT_MSG_NEWRULE, flags: unix.NLM_F_APPEND, body: slices.Concat(
		nfnetlink.Text(unix.NFTA_RULE_TABLE, Name), nfnetlink.Text(unix.NFTA_RULE_CHAIN, chain), nest(unix.NFTA_RULE_EXPRESSIONS, expressions...))}
}

// links are the keys of the set of uplinks.
func (b Bait) links() (keys [][]byte) {
	for _, i := range b.Links {
		keys = append(keys, binary.NativeEndian.AppendUint32(nil, uint32(i)))
	}
	return keys
}

// askers are the keys of a family's set of those who ask.
func (b Bait) askers(f family) (keys [][]byte) {
	for _, a := range b.Askers {
		if a.Is4() == (f.address == address4) {
			keys = append(keys, a.AsSlice())
		}
	}
	return keys
}
