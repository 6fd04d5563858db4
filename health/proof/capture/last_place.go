package capture

import (
	"encoding/binary"
	"net/netip"
	"slices"

	"replypath/health/proof"
	"replypath/marks/nftnl"

	"golang.org/x/sys/unix"
)

// NextHop is a neighbour on a link.
type NextHop struct {
	Link int
	Addr netip.Addr
}

// Replies traverse POSTROUTING as any packet, and are dropped at its end. Those that connection tracking takes for replies, and
// that the kernel sends at once, go on and are dropped at the egress of their link, where that can be observed: a reply to an
// unknown neighbour would wait for it, perhaps for longer than the capture, and a new connection would be confirmed. While they
// traverse the table mangle, the connection's mark is cleared: replypath's own chains count no reply without one.

// lastPlaceRequests returns the requests for the chains at the end of POSTROUTING, and for the chain that sets the marks of
// connections again.
func (f Filter) lastPlaceRequests(kernel features) []nftnl.Request {
	counted := chain{name: "postrouting-counted", hook: unix.NF_INET_POST_ROUTING, priority: priorityAfterCounts}
	end := chain{name: "postrouting-end", hook: unix.NF_INET_POST_ROUTING, priority: priorityLast}
	all := []nftnl.Request{directLinks.create(0)}
	if len(f.Direct) > 0 {
		all = append(all, directLinks.addElements(linkKeys(f.Direct)))
	}
	all = append(all, counted.create(), end.create())
	for _, c := range families {
		all = append(all, c.nextHops.create(0))
		if keys := f.nextHopKeys(c); len(keys) > 0 {
			all = append(all, c.nextHops.addElements(keys))
		}
		kinds := f.replyKinds(c)
		all = append(all, toPeers(counted.name, c, c.peers)...)
		all = append(all, toPeers(end.name, c, c.peers)...)
		for _, k := range kinds {
			observed := c.record(counted.hook, proof.ReplyCounted, k, true, false)
			all = append(all, table.AddRule(counted.name+c.peers.name, withoutVerdict(observed)...), table.AddRule(counted.name+c.peers.name, c.restoreConnmark(k)...))
		}
		all = append(all, c.endRequests(end.name+c.peers.name, kinds, kernel)...)
	}
	return all
}

// toPeers returns the requests for a chain of its own for packets to the family's peers, with the name of the base chain and that
// of the set.
func toPeers(base string, c captureFamily, peers set) []nftnl.Request {
	name := base + peers.name
	return []nftnl.Request{table.CreateChain(name), table.AddRule(base, nftnl.Meta(unix.NFT_META_NFPROTO, 0), nftnl.Equals(0, []byte{c.proto}),
		field(unix.NFT_PAYLOAD_NETWORK_HEADER, c.to, 0), nftnl.InSet(peers.nft(), 0), nftnl.Jump(name))}
}

// endRequests returns the requests for the chains that let replies pass, or drop them, at the end of POSTROUTING.
func (c captureFamily) endRequests(name string, kinds []packetKind, kernel features) []nftnl.Request {
	passed := "passed" + c.peers.name
	var all []nftnl.Request
	if kernel.wire {
		all = append(all, table.CreateChain(passed))
		plain := [][]byte{nftnl.Ct(unix.NFT_CT_STATE, 0), nftnl.MaskMark(0, uint32(proof.StateNew), 0), nftnl.Equals(0, make([]byte, 4))}
		if kernel.ipsec {
			plain = append(plain, nftnl.Rt(rtIPsec, 0), nftnl.Equals(0, []byte{0}))
		}
		link := nftnl.Meta(unix.NFT_META_OIF, 0)
		direct, known := table.AddRule(name, append(slices.Clone(plain), link, nftnl.InSet(directLinks.nft(), 0), nftnl.Goto(passed))...),
			table.AddRule(name, append(slices.Clone(plain), link, nftnl.Rt(c.nextHop, 1), nftnl.InSet(c.nextHops.nft(), 0), nftnl.Goto(passed))...)
		if kernel.ipsec {
			direct.Operation, known.Operation = operationIPsec, operationIPsec
		}
		all = append(all, direct, known)
		all = append(all, c.recordEnd(passed, proof.PostroutingPassed, kinds, nftnl.Accept())...)
		all = append(all, table.AddRule(passed, nftnl.Drop()))
	}
	all = append(all, c.recordEnd(name, proof.PostroutingEnd, kinds, nftnl.Drop())...)
	return append(all, table.AddRule(name, nftnl.Drop()))
}

// recordEnd returns the requests for rules of the chain that add packets to the set of observations, those with a connection first,
// and then give the verdict.
func (c captureFamily) recordEnd(chain string, hook proof.Hook, kinds []packetKind, verdict []byte) (all []nftnl.Request) {
	for _, k := range kinds {
		for _, tracked := range []bool{true, false} {
			observed := c.record(unix.NF_INET_POST_ROUTING, hook, k, tracked, false)
			all = append(all, table.AddRule(chain, append(withoutVerdict(observed), verdict)...))
		}
	}
	return all
}

// withoutVerdict returns the expressions of an observation without its verdict, which is the last.
func withoutVerdict(observation [][]byte) [][]byte { return observation[:len(observation)-1] }

// connmarkKey returns the expressions that load the key of a connection's mark, and the first register behind it.
func (c captureFamily) connmarkKey(k packetKind) (exprs [][]byte, next int) {
	words := int(c.words)
	return append(k.expressions(), nftnl.Load(0, k.word(0)), field(unix.NFT_PAYLOAD_NETWORK_HEADER, c.to, 1),
		field(unix.NFT_PAYLOAD_TRANSPORT_HEADER, byteRange{k.ports, 4}, 1+words)), 2 + words
}

// clearConnmark returns the expressions that save the mark of the packet's connection and clear the bits of the mask.
func (c captureFamily) clearConnmark(k packetKind, mask uint32) [][]byte {
	exprs, mark := c.connmarkKey(k)
	return append(exprs, nftnl.Ct(unix.NFT_CT_MARK, mark), nftnl.AddToMap(c.marks.nft(), mark), nftnl.MaskMark(mark, ^mask, 0), nftnl.SetCt(unix.NFT_CT_MARK, mark), nftnl.Return())
}

// restoreConnmark returns the expressions that set the mark of the packet's connection again.
func (c captureFamily) restoreConnmark(k packetKind) [][]byte {
	exprs, mark := c.connmarkKey(k)
	return append(exprs, nftnl.FromMap(c.marks.nft(), mark), nftnl.SetCt(unix.NFT_CT_MARK, mark), nftnl.Return())
}

// rtIPsec is NFT_RT_XFRM (linux/netfilter/nf_tables.h): whether the packet will be transformed.
const rtIPsec = 4

// operationIPsec is the operation that a kernel without IPsec refuses.
const operationIPsec = "add a rule that looks for IPsec"

// nextHopKeys returns the keys of the family's set of neighbours.
func (f Filter) nextHopKeys(c captureFamily) (keys [][]byte) {
	for _, h := range f.NextHops {
		if h.Addr.Is4() == (c.proto == unix.NFPROTO_IPV4) {
			keys = append(keys, append(binary.NativeEndian.AppendUint32(nil, uint32(h.Link)), h.Addr.AsSlice()...))
		}
	}
	return keys
}

// linkKeys returns the keys of a set of links.
func linkKeys(links []int) (keys [][]byte) {
	for _, i := range links {
		keys = append(keys, binary.NativeEndian.AppendUint32(nil, uint32(i)))
	}
	return keys
}
