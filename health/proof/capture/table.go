package capture

import (
	"encoding/binary"
	"fmt"
	"math"
	"slices"

	"replypath/health/proof"
	"replypath/marks/netfilter"

	"golang.org/x/sys/unix"
)

// The priorities of the base chains (linux/netfilter_ipv4.h, enum nf_ip_hook_priorities). priorityLast is just before conntrack
// confirms the connection.
const (
	priorityFirst        = math.MinInt32 + 1
	priorityAfterMangle  = -149
	priorityBeforeMangle = -151
	priorityLast         = math.MaxInt32 - 1
)

// chain is a base chain, and the proof.Hook at which it observes requests and replies; 0: it does not observe them.
type chain struct {
	name     string
	hook     uint32 // NF_INET_*
	priority int32
	request  proof.Hook
	reply    proof.Hook
}

var chains = [...]chain{
	{"prerouting-start", unix.NF_INET_PRE_ROUTING, priorityFirst, proof.PreroutingStart, 0},
	{"prerouting-marked", unix.NF_INET_PRE_ROUTING, priorityAfterMangle, proof.PreroutingMarked, proof.ReplyPrerouting},
	{"input-start", unix.NF_INET_LOCAL_IN, priorityFirst, proof.InputStart, 0},
	{"input-end", unix.NF_INET_LOCAL_IN, priorityLast, proof.InputEnd, 0},
	{"forward-start", unix.NF_INET_FORWARD, priorityFirst, proof.ForwardStart, 0},
	{"forward-end", unix.NF_INET_FORWARD, priorityLast, proof.ForwardEnd, 0},
	{"output-start", unix.NF_INET_LOCAL_OUT, priorityFirst, 0, proof.OutputStart},
	{"output-end", unix.NF_INET_LOCAL_OUT, priorityLast, 0, proof.OutputEnd},
	{"postrouting", unix.NF_INET_POST_ROUTING, priorityBeforeMangle, proof.RequestEgress, proof.ReplyEgress},
}

// tableRequests returns the batch that makes the table.
func tableRequests(filter Filter) []request {
	all := []request{{operation: "create the table " + Name, msgType: unix.NFT_MSG_NEWTABLE, flags: unix.NLM_F_EXCL, body: slices.Concat(
		netfilter.StringAttribute(unix.NFTA_TABLE_NAME, Name), be32(unix.NFTA_TABLE_FLAGS, tableFlagOwner))}}
	all = append(all, uplinkLinks.create(0), uplinkLinks.addElements(filter.linkKeys()))
	size := maxObservations * (filter.Requests + 1)
	for _, f := range families {
		all = append(all, f.peers.create(0), f.hooks.create(size), f.egress.create(size))
		if keys := filter.peers(f); len(keys) > 0 {
			all = append(all, f.peers.addElements(keys))
		}
	}
	for _, c := range chains {
		all = append(all, c.create())
		for _, f := range families {
			all = append(all, c.observePeers(f, c.request, f.from, 0)...)
			all = append(all, c.observePeers(f, c.reply, f.to, 2)...)
		}
	}
	return all
}

// maxObservations bounds the observations of one request: two at each hook, and those of a second reply.
const maxObservations = 24

// tableFlagOwner is NFT_TABLE_F_OWNER (linux/netfilter/nf_tables.h).
const tableFlagOwner = 0x2

func (c chain) create() request {
	hook := nested(unix.NFTA_CHAIN_HOOK, be32(unix.NFTA_HOOK_HOOKNUM, c.hook), be32(unix.NFTA_HOOK_PRIORITY, uint32(c.priority)))
	return request{operation: "create the chain " + c.name, msgType: unix.NFT_MSG_NEWCHAIN, body: slices.Concat(
		netfilter.StringAttribute(unix.NFTA_CHAIN_TABLE, Name), netfilter.StringAttribute(unix.NFTA_CHAIN_NAME, c.name), hook, netfilter.StringAttribute(unix.NFTA_CHAIN_TYPE, "filter"))}
}

// observePeers returns the requests for a chain that observes the family's packets from or to the peers, as peer selects the
// address. All other packets traverse two rules per family at most. port is the offset of the peer's port in the header.
func (c chain) observePeers(f captureFamily, p proof.Hook, peer byteRange, port uint32) []request {
	if p == 0 {
		return nil
	}
	chainName := fmt.Sprintf("%s-%d-%s", c.name, p, f.peers.name)
	match := [][]byte{meta(unix.NFT_META_NFPROTO, 0), equals(0, []byte{f.proto}), field(unix.NFT_PAYLOAD_NETWORK_HEADER, peer, 0), inSet(f.peers, 0)}
	if p == proof.RequestEgress {
		match = append(match, meta(unix.NFT_META_OIF, 0), inSet(uplinkLinks, 0))
	}
	all := []request{
		{operation: "create the chain " + chainName, msgType: unix.NFT_MSG_NEWCHAIN, body: slices.Concat(netfilter.StringAttribute(unix.NFTA_CHAIN_TABLE, Name), netfilter.StringAttribute(unix.NFTA_CHAIN_NAME, chainName))},
		newRule(c.name, append(match, jump(chainName))...),
	}
	for _, l4 := range f.transports(port, p < proof.ReplyPrerouting) {
		if l4.port.length == 0 {
			all = append(all, newRule(chainName, append(l4.match(), pass(p))...))
			continue
		}
		for _, tracked := range []bool{true, false} {
			all = append(all, newRule(chainName, f.record(p, peer, l4, tracked)...))
		}
	}
	if p == proof.RequestEgress || p == proof.ReplyEgress {
		all = append(all, newRule(chainName, drop()))
	}
	return all
}

// record returns the expressions that add the packet to a set of observations. tracked is for packets with a connection.
func (f captureFamily) record(p proof.Hook, peer byteRange, l4 transportMatch, tracked bool) (exprs [][]byte) {
	exprs = l4.match()
	words := int(f.address.words)
	ctOrZero := func(key uint32, to int) []byte {
		if tracked {
			return ct(key, to)
		}
		return load(to, 0)
	}
	header, body := func(s byteRange, to int) []byte { return field(unix.NFT_PAYLOAD_NETWORK_HEADER, s, to) }, field(unix.NFT_PAYLOAD_TRANSPORT_HEADER, l4.port, 1+words)
	if p == proof.ReplyEgress {
		body = field(unix.NFT_PAYLOAD_TRANSPORT_HEADER, l4.port, words)
		return append(exprs, header(peer, 0), body, header(f.from, words+1), ctOrZero(unix.NFT_CT_DIRECTION, 2*words+1),
			meta(unix.NFT_META_OIF, 2*words+2), addToSet(f.egress), drop())
	}
	exprs = append(exprs, load(0, uint32(p)), header(peer, 1), body, meta(unix.NFT_META_MARK, words+2),
		ctOrZero(unix.NFT_CT_MARK, words+3), addToSet(f.hooks))
	return append(exprs, pass(p))
}

// pass returns the verdict after an observation: a request that would leave by an uplink is dropped.
func pass(p proof.Hook) []byte {
	if p == proof.RequestEgress {
		return drop()
	}
	return returnVerdict()
}

func newRule(chain string, expressions ...[]byte) request {
	return request{operation: "add a rule to " + chain, msgType: unix.NFT_MSG_NEWRULE, flags: unix.NLM_F_APPEND, body: slices.Concat(
		netfilter.StringAttribute(unix.NFTA_RULE_TABLE, Name), netfilter.StringAttribute(unix.NFTA_RULE_CHAIN, chain), nested(unix.NFTA_RULE_EXPRESSIONS, expressions...))}
}

// linkKeys returns the keys of the set of the uplinks' interfaces.
func (f Filter) linkKeys() (keys [][]byte) {
	for _, i := range f.Links {
		keys = append(keys, binary.NativeEndian.AppendUint32(nil, uint32(i)))
	}
	return keys
}

// peers returns the keys of the family's set of peers.
func (f Filter) peers(c captureFamily) (keys [][]byte) {
	for _, a := range f.Peers {
		if a.Is4() == (c.address == address4) {
			keys = append(keys, a.AsSlice())
		}
	}
	return keys
}
