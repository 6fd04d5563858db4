package capture

import (
	"encoding/binary"
	"net/netip"
	"slices"

	"replypath/health/proof"
	"replypath/marks/netfilter"

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
func (f Filter) lastPlaceRequests(kernel features) []request {
	counted := chain{name: "postrouting-counted", hook: unix.NF_INET_POST_ROUTING, priority: priorityAfterMangle}
	end := chain{name: "postrouting-end", hook: unix.NF_INET_POST_ROUTING, priority: priorityLast}
	all := []request{directLinks.create(0)}
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
			all = append(all, newRule(counted.name+c.peers.name, c.restoreConnmark(k)...))
		}
		all = append(all, c.endRequests(end.name+c.peers.name, kinds, kernel)...)
	}
	return all
}

// toPeers returns the requests for a chain of its own for packets to the family's peers, with the name of the base chain and that
// of the set.
func toPeers(base string, c captureFamily, peers set) []request {
	name := base + peers.name
	return []request{newChain(name), newRule(base, meta(unix.NFT_META_NFPROTO, 0), equals([]byte{c.proto}),
		field(unix.NFT_PAYLOAD_NETWORK_HEADER, c.to, 0), inSet(peers), jump(name))}
}

// endRequests returns the requests for the chains that let replies pass, or drop them, at the end of POSTROUTING.
func (c captureFamily) endRequests(name string, kinds []packetKind, kernel features) []request {
	passed := "passed" + c.peers.name
	var all []request
	if kernel.wire {
		all = append(all, newChain(passed))
		plain := [][]byte{ct(unix.NFT_CT_STATE, 0), and(0, uint32(proof.StateNew)), equals(make([]byte, 4))}
		if kernel.ipsec {
			plain = append(plain, rt(rtIPsec, 0), equals([]byte{0}))
		}
		link := meta(unix.NFT_META_OIF, 0)
		direct, known := newRule(name, append(slices.Clone(plain), link, inSet(directLinks), goTo(passed))...),
			newRule(name, append(slices.Clone(plain), link, rt(c.nextHop, 1), inSet(c.nextHops), goTo(passed))...)
		if kernel.ipsec {
			direct.operation, known.operation = operationIPsec, operationIPsec
		}
		all = append(all, direct, known)
		for _, k := range kinds {
			all = append(all, newRule(passed, append(c.recordEnd(proof.PostroutingPassed, k), accept())...))
		}
		all = append(all, newRule(passed, drop()))
	}
	for _, k := range kinds {
		all = append(all, newRule(name, append(c.recordEnd(proof.PostroutingEnd, k), drop())...))
	}
	return append(all, newRule(name, drop()))
}

// recordEnd returns the expressions that add the packet to the set of observations.
func (c captureFamily) recordEnd(hook proof.Hook, k packetKind) [][]byte {
	exprs := c.record(unix.NF_INET_POST_ROUTING, hook, k, false, false)
	return exprs[:len(exprs)-1] // without the verdict
}

// connmarkKey returns the expressions that load the key of a connection's mark, and the first register behind it.
func (c captureFamily) connmarkKey(k packetKind) (exprs [][]byte, next int) {
	words := int(c.words)
	return append(k.expressions(), load(0, k.word(0)), field(unix.NFT_PAYLOAD_NETWORK_HEADER, c.to, 1),
		field(unix.NFT_PAYLOAD_TRANSPORT_HEADER, byteRange{k.ports, 4}, 1+words)), 2 + words
}

// clearConnmark returns the expressions that save the mark of the packet's connection and clear the bits of the mask.
func (c captureFamily) clearConnmark(k packetKind, mask uint32) [][]byte {
	exprs, mark := c.connmarkKey(k)
	return append(exprs, ct(unix.NFT_CT_MARK, mark), addToMap(c.marks, mark), and(mark, ^mask), setConnmark(mark), returnVerdict())
}

// restoreConnmark returns the expressions that set the mark of the packet's connection again.
func (c captureFamily) restoreConnmark(k packetKind) [][]byte {
	exprs, mark := c.connmarkKey(k)
	return append(exprs, fromMap(c.marks, mark), setConnmark(mark), returnVerdict())
}

// rtIPsec is NFT_RT_XFRM (linux/netfilter/nf_tables.h): whether the packet will be transformed.
const rtIPsec = 4

// operationIPsec is the operation that a kernel without IPsec refuses.
const operationIPsec = "add a rule that looks for IPsec"

func newChain(name string) request {
	return request{operation: "create the chain " + name, msgType: unix.NFT_MSG_NEWCHAIN, body: slices.Concat(
		netfilter.StringAttribute(unix.NFTA_CHAIN_TABLE, Name), netfilter.StringAttribute(unix.NFTA_CHAIN_NAME, name))}
}

// Passes reports whether a reply goes on to the egress of its link, as the chains decide it.
func (f Filter) Passes(e proof.EgressObservation) bool {
	return slices.Contains(f.Direct, e.Link) || slices.Contains(f.NextHops, NextHop{e.Link, e.NextHop})
}

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
