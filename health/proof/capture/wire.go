package capture

import (
	"fmt"
	"math"
	"net/netip"
	"slices"
	"strings"

	"replypath/health/proof"
	"replypath/marks/nftnl"

	"golang.org/x/sys/unix"
)

// maxDevices is the largest number of links of one chain (NFT_NETDEVICE_MAX).
const maxDevices = 256

// priorityWire is behind all other chains at the egress of a link.
const priorityWire = math.MaxInt32

// wireRequests returns the requests for the table of the family netdev: it observes replies at the egress of the links, behind the
// chains of other programs, and drops them there.
func (f Filter) wireRequests() []nftnl.Request {
	all := []nftnl.Request{table.Create(nftnl.Owner)}
	size := maxObservations * (f.Requests + 1)
	for _, c := range families {
		all = append(all, c.wirePeers.create(0), c.wire.create(size))
		if keys := f.peers(c); len(keys) > 0 {
			all = append(all, c.wirePeers.addElements(keys))
		}
		name := "wire-" + c.wirePeers.name
		all = append(all, table.CreateChain(name))
		for _, k := range f.replyKinds(c) {
			for _, hasHeader := range []bool{true, false} {
				all = append(all, table.AddRule(name, c.recordWire(k, hasHeader)...))
			}
		}
	}
	for i, devices := range slices.Collect(slices.Chunk(f.Devices, maxDevices)) {
		all = append(all, createWireChain(fmt.Sprintf("egress-%d", i), devices)...)
	}
	for i := range all {
		all[i].Family = unix.NFPROTO_NETDEV
	}
	return all
}

// createWireChain returns the requests for a base chain at the egress of the links.
func createWireChain(name string, devices []string) []nftnl.Request {
	made := table.CreateEgressChain(name, priorityWire, devices)
	made.Operation = operationWire
	all := []nftnl.Request{made}
	for _, c := range families {
		all = append(all, table.AddRule(name, nftnl.Meta(unix.NFT_META_PROTOCOL, 0), nftnl.Equals(0, c.etherType[:]),
			field(unix.NFT_PAYLOAD_NETWORK_HEADER, c.to, 0), nftnl.InSet(c.wirePeers.nft(), 0), nftnl.Jump("wire-"+c.wirePeers.name)))
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
		exprs = append(exprs, nftnl.Load(at+3, 0), nftnl.Load(at+4, 0))
	}
	exprs = append(append(exprs, k.expressions()...), nftnl.Load(0, k.word(0)))
	exprs = append(exprs, c.addressesAndPorts(k)...)
	return append(exprs, nftnl.Meta(unix.NFT_META_OIF, at+1), nftnl.Meta(unix.NFT_META_MARK, at+2),
		field(unix.NFT_PAYLOAD_NETWORK_HEADER, byteRange{c.ttlOffset, 1}, at+5), nftnl.AddToSet(c.wire.nft()), nftnl.Drop())
}

// lengthMAC is the length of the destination in an Ethernet header.
const lengthMAC = 6

// wire adds the observations at the egress of links.
func (c *Capture) wire(f captureFamily, all *proof.Observations) error {
	query := table.ListElements(f.wire.name)
	query.Family = unix.NFPROTO_NETDEV
	keys := newKeyReader(f.wire)
	return c.socket.Dump(query, func(attributes []byte) {
		keys.read(attributes, func(k [][]byte) {
			word := toUint32(k[0])
			port, host := ports(word, k[3])
			mac := string(k[6][:lengthMAC])
			if strings.Trim(mac, "\x00") == "" {
				mac = ""
			}
			all.Wire = append(all.Wire, proof.WireObservation{Proto: byte(word >> shiftProto), Peer: toAddr(k[2]), Port: port,
				Host: netip.AddrPortFrom(toAddr(k[1]), host), Link: int(toUint32(k[4])), Mark: toUint32(k[5]), MAC: mac, TTL: k[7][0]})
		})
	})
}
