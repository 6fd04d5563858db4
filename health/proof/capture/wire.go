package capture

import (
	"fmt"
	"math"
	"net/netip"
	"slices"
	"strings"

	"replypath/health/proof"
	"replypath/marks/netfilter"

	"golang.org/x/sys/unix"
)

// The hook at the egress of links (linux/netfilter.h, NF_NETDEV_EGRESS), the attribute with the links of a chain (NFTA_HOOK_DEVS)
// and their largest number (NFT_NETDEVICE_MAX), which x/sys does not define.
const (
	netdevEgress = 1
	hookDevices  = 4
	maxDevices   = 256
)

// priorityWire is behind all other chains at the egress of a link.
const priorityWire = math.MaxInt32

// wireRequests returns the requests for the table of the family netdev: it observes replies at the egress of the links, behind the
// chains of other programs, and drops them there.
func (f Filter) wireRequests() []request {
	all := []request{newTable(0)}
	size := maxObservations * (f.Requests + 1)
	for _, c := range families {
		all = append(all, c.wirePeers.create(0), c.wire.create(size))
		if keys := f.peers(c); len(keys) > 0 {
			all = append(all, c.wirePeers.addElements(keys))
		}
		name := "wire-" + c.wirePeers.name
		all = append(all, newChain(name))
		for _, k := range f.replyKinds(c) {
			for _, hasHeader := range []bool{true, false} {
				all = append(all, newRule(name, c.recordWire(k, hasHeader)...))
			}
		}
	}
	for i, devices := range slices.Collect(slices.Chunk(f.Devices, maxDevices)) {
		all = append(all, createWireChain(fmt.Sprintf("egress-%d", i), devices)...)
	}
	return forNetdev(all...)
}

// createWireChain returns the requests for a base chain at the egress of the links.
func createWireChain(name string, devices []string) []request {
	var list [][]byte
	for _, d := range devices {
		list = append(list, netfilter.StringAttribute(1, d))
	}
	hook := nested(unix.NFTA_CHAIN_HOOK, be32(unix.NFTA_HOOK_HOOKNUM, netdevEgress), be32(unix.NFTA_HOOK_PRIORITY, priorityWire), nested(hookDevices, list...))
	all := []request{{operation: operationWire, msgType: unix.NFT_MSG_NEWCHAIN, body: slices.Concat(
		netfilter.StringAttribute(unix.NFTA_CHAIN_TABLE, Name), netfilter.StringAttribute(unix.NFTA_CHAIN_NAME, name), hook, netfilter.StringAttribute(unix.NFTA_CHAIN_TYPE, "filter"))}}
	for _, c := range families {
		all = append(all, newRule(name, meta(unix.NFT_META_PROTOCOL, 0), equals(c.etherType[:]),
			field(unix.NFT_PAYLOAD_NETWORK_HEADER, c.to, 0), inSet(c.wirePeers), jump("wire-"+c.wirePeers.name)))
	}
	return all
}

// operationWire is the operation that a kernel without chains at egress refuses.
const operationWire = "create a chain at the egress of the links"

// recordWire returns the expressions that add a reply to the set of observations and drop it. hasHeader is for links whose packets
// have a link layer header.
func (c captureFamily) recordWire(k packetKind, hasHeader bool) [][]byte {
	at := 1 + 2*int(c.words)
	var exprs [][]byte
	if hasHeader {
		exprs = append(exprs, field(unix.NFT_PAYLOAD_LL_HEADER, byteRange{0, lengthMAC}, at+3))
	} else {
		exprs = append(exprs, load(at+3, 0), load(at+4, 0))
	}
	exprs = append(append(exprs, k.expressions()...), load(0, k.word(0)))
	exprs = append(exprs, c.addressesAndPorts(k)...)
	return append(exprs, meta(unix.NFT_META_OIF, at+1), meta(unix.NFT_META_MARK, at+2), addToSet(c.wire), drop())
}

// lengthMAC is the length of the destination in an Ethernet header.
const lengthMAC = 6

// wire returns the observations at the egress of links.
func (c *Capture) wire(f captureFamily) (all []proof.WireObservation, err error) {
	query := f.wire.dump()
	query.family = unix.NFPROTO_NETDEV
	err = c.socket.dump(query, func(attributes []byte) {
		f.wire.keys(attributes, func(k [][]byte) {
			word := toUint32(k[0])
			port, host := ports(word, k[3])
			mac := string(k[6][:lengthMAC])
			if strings.Trim(mac, "\x00") == "" {
				mac = ""
			}
			all = append(all, proof.WireObservation{Proto: byte(word >> shiftProto), Peer: toAddr(k[2]), Port: port,
				Host: netip.AddrPortFrom(toAddr(k[1]), host), Link: int(toUint32(k[4])), Mark: toUint32(k[5]), MAC: mac})
		})
	})
	return all, err
}
