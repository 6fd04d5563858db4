package capture

import (
	"fmt"
	"math"

	"replypath/health/proof"
	"replypath/marks/nftnl"

	"golang.org/x/sys/unix"
)

// The priorities of the base chains (linux/netfilter_ipv4.h, enum nf_ip_hook_priorities). priorityLast is just before conntrack
// confirms the connection.
const (
	priorityFirst        = math.MinInt32 + 1
	priorityAfterMangle  = -149
	priorityAfterMarked  = -148 // after what observes there
	priorityAfterCounts  = -148 // after the counters of the backend nftables (marks.NFTBases)
	priorityBeforeMangle = -151
	priorityLast         = math.MaxInt32 - 1
	priorityBeforeLast   = math.MaxInt32 - 2
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
	{"input-end", unix.NF_INET_LOCAL_IN, priorityBeforeLast, proof.InputEnd, 0},
	{"forward-start", unix.NF_INET_FORWARD, priorityFirst, proof.ForwardStart, proof.ReplyForward},
	{"forward-end", unix.NF_INET_FORWARD, priorityLast, proof.ForwardEnd, 0},
	{"output-start", unix.NF_INET_LOCAL_OUT, priorityFirst, 0, proof.OutputStart},
	{"output-end", unix.NF_INET_LOCAL_OUT, priorityLast, 0, proof.OutputEnd},
	{"postrouting", unix.NF_INET_POST_ROUTING, priorityBeforeMangle, proof.RequestEgress, proof.ReplyEgress},
}

// features are the optional features of the kernel that the table uses.
type features struct {
	zones  bool // zones of connection tracking (CONFIG_NF_CONNTRACK_ZONES)
	ipsec  bool // transformations (CONFIG_XFRM)
	tproxy bool // redirection to sockets (module nft_tproxy)
	wire   bool // chains at the egress of links (CONFIG_NETFILTER_EGRESS, Linux 5.16)
}

// table is the table of the capture, in both families.
const table = nftnl.Table(Name)

// create returns the request that makes the chain.
func (c chain) create() nftnl.Request {
	return table.CreateBaseChain(c.name, "filter", c.hook, c.priority)
}

// tableRequests returns the batch that makes the tables.
func tableRequests(filter Filter, kernel features) []nftnl.Request {
	zones := kernel.zones
	all := []nftnl.Request{table.CreateNew(nftnl.Owner), uplinkLinks.create(0), uplinkLinks.addElements(linkKeys(filter.Links))}
	size := maxObservations * (filter.Requests + 1)
	for _, f := range families {
		all = append(all, f.peers.create(0), f.hooks.create(size), f.egress.create(size), f.marks.create(size))
		if keys := filter.peers(f); len(keys) > 0 {
			all = append(all, f.peers.addElements(keys))
		}
	}
	for _, c := range chains {
		all = append(all, c.create())
		if c.reply == proof.OutputStart {
			all = append(all, filter.standInReplies(c.name)...)
		}
		for _, f := range families {
			all = append(all, c.observePeers(f, c.request, filter.requestKinds(f), filter, zones)...)
			all = append(all, c.observePeers(f, c.reply, filter.replyKinds(f), filter, zones)...)
		}
	}
	all = append(all, filter.standInRequests()...)
	if kernel.tproxy {
		all = append(all, filter.proxyRequests()...)
	}
	if filter.Trace {
		all = append(all, traceRequests()...)
	}
	all = append(all, filter.lastPlaceRequests(kernel)...)
	if kernel.wire {
		all = append(all, filter.wireRequests()...)
	}
	return all
}

// maxObservations bounds the observations of one request: two at each hook, and those of a second reply.
const maxObservations = 28

// observePeers returns the requests for a chain that observes packets of these kinds from or to the family's peers. All other
// packets traverse two rules per family at most.
func (c chain) observePeers(f captureFamily, p proof.Hook, kinds []packetKind, filter Filter, zones bool) []nftnl.Request {
	if p == 0 {
		return nil
	}
	chainName, peer := fmt.Sprintf("%s-%d-%s", c.name, p, f.peers.name), f.from
	if isReply(p) {
		peer = f.to
	}
	match := [][]byte{nftnl.Meta(unix.NFT_META_NFPROTO, 0), nftnl.Equals(0, []byte{f.proto}), field(unix.NFT_PAYLOAD_NETWORK_HEADER, peer, 0), nftnl.InSet(f.peers.nft(), 0)}
	if p == proof.RequestEgress {
		match = append(match, nftnl.Meta(unix.NFT_META_OIF, 0), nftnl.InSet(uplinkLinks.nft(), 0))
	}
	all := []nftnl.Request{
		table.CreateChain(chainName),
		table.AddRule(c.name, append(match, nftnl.Jump(chainName))...),
	}
	for _, k := range kinds {
		if p == proof.ReplyEgress {
			all = append(all, table.AddRule(chainName, f.recordEgress(k)...), table.AddRule(chainName, f.clearConnmark(k, filter.Mask)...),
				table.AddRule(chainName, append(k.expressions(), nftnl.Return())...))
			continue
		}
		if readsConnection[p] {
			all = append(all, table.AddRule(chainName, f.record(c.hook, p, k, true, zones)...))
		}
		all = append(all, table.AddRule(chainName, f.record(c.hook, p, k, false, zones)...))
	}
	if p == proof.RequestEgress || p == proof.ReplyEgress {
		all = append(all, table.AddRule(chainName, nftnl.Drop()))
	}
	return all
}

// readsConnection has the hooks at which the connection of a packet is observed too, by a second rule: one that reads the
// mark of a connection matches no packet without a connection.
var readsConnection = map[proof.Hook]bool{proof.PreroutingMarked: true, proof.InputEnd: true, proof.ForwardEnd: true,
	proof.ReplyPrerouting: true, proof.OutputEnd: true}

// record returns the expressions that add the packet to the set of observations. tracked is for packets with a connection.
func (c captureFamily) record(hook uint32, p proof.Hook, k packetKind, tracked, zones bool) [][]byte {
	at := 1 + 2*int(c.words)
	ctOrZero := func(key uint32, to int, known bool) []byte {
		if tracked && known {
			return nftnl.Ct(key, to)
		}
		return nftnl.Load(to, 0)
	}
	link, last := uint32(unix.NFT_META_IIF), ctOrZero(unix.NFT_CT_ZONE, at+5, zones)
	if hook == unix.NF_INET_LOCAL_OUT || hook == unix.NF_INET_POST_ROUTING {
		link = unix.NFT_META_OIF
	}
	if p == proof.PreroutingMarked {
		last = ctOrZero(unix.NFT_CT_STATUS, at+5, true)
	}
	exprs := append(k.expressions(), ctOrZero(unix.NFT_CT_MARK, at+2, true), nftnl.Load(0, k.word(p)))
	exprs = append(exprs, c.addressesAndPorts(k)...)
	return append(exprs, nftnl.Meta(unix.NFT_META_MARK, at+1), nftnl.Meta(link, at+3), nftnl.Ct(unix.NFT_CT_STATE, at+4), last, nftnl.AddToSet(c.hooks.nft()), pass(p))
}

// addressesAndPorts returns the expressions that load the packet's addresses and its ports into the registers behind the first.
func (c captureFamily) addressesAndPorts(k packetKind) [][]byte {
	words := int(c.words)
	return [][]byte{field(unix.NFT_PAYLOAD_NETWORK_HEADER, c.from, 1), field(unix.NFT_PAYLOAD_NETWORK_HEADER, c.to, 1+words),
		field(unix.NFT_PAYLOAD_TRANSPORT_HEADER, byteRange{k.ports, 4}, 1+2*words)}
}

// recordEgress returns the expressions that add a reply in POSTROUTING to the set of replies.
func (c captureFamily) recordEgress(k packetKind) [][]byte {
	at := 1 + 2*int(c.words)
	exprs := append(k.expressions(), nftnl.Load(0, k.word(proof.ReplyEgress)))
	exprs = append(exprs, c.addressesAndPorts(k)...)
	return append(exprs, nftnl.Meta(unix.NFT_META_OIF, at+1), nftnl.Ct(unix.NFT_CT_STATE, at+2), nftnl.Rt(c.nextHop, at+3), nftnl.AddToSet(c.egress.nft()))
}

// pass returns the verdict after an observation: a request that would leave by an uplink is dropped.
func pass(p proof.Hook) []byte {
	if p == proof.RequestEgress {
		return nftnl.Drop()
	}
	return nftnl.Return()
}

// byteRange selects bytes of a header.
type byteRange struct{ offset, length uint32 }

// field loads bytes of a header into a register.
func field(base uint32, f byteRange, to int) []byte { return nftnl.Field(base, f.offset, f.length, to) }

// peers returns the keys of the family's set of peers.
func (f Filter) peers(c captureFamily) (keys [][]byte) {
	for _, a := range f.Peers {
		if a.Is4() == (c.proto == unix.NFPROTO_IPV4) {
			keys = append(keys, a.AsSlice())
		}
	}
	return keys
}
