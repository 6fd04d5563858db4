package capture

import (
	"encoding/binary"
	"net/netip"

	"replypath/marks/nftnl"

	"golang.org/x/sys/unix"
)

// StandIn is a socket of the prover that answers requests by UDP in place of a server: they are sent to its port behind all chains of
// INPUT, and its replies get the port of the server before all chains of OUTPUT.
type StandIn struct {
	Server netip.AddrPort
	Port   uint16
}

// standInChain is the chain that redirects the requests.
var standInChain = chain{name: "input-stand-in", hook: unix.NF_INET_LOCAL_IN, priority: priorityLast}

// standInRequests returns the requests for the rules that send requests with the secret to the prover's sockets.
func (f Filter) standInRequests() (all []nftnl.Request) {
	if len(f.StandIns) == 0 {
		return nil
	}
	all = append(all, standInChain.create())
	for _, s := range f.StandIns {
		c := familyOf(s.Server.Addr())
		for _, k := range f.requestKinds(c) {
			if k.proto != unix.IPPROTO_UDP {
				continue
			}
			k.match = append([]condition{equal(offsetDport, portBytes(s.Server.Port())...)}, k.match...)
			all = append(all, table.AddRule(standInChain.name, c.renumber(c.from, c.to, s, k, offsetDport, s.Port)...))
		}
	}
	return all
}

// standInReplies returns the requests for the rules that give the replies of the prover's sockets the ports of the servers.
func (f Filter) standInReplies(chain string) (all []nftnl.Request) {
	for _, s := range f.StandIns {
		c := familyOf(s.Server.Addr())
		k := packetKind{proto: unix.IPPROTO_UDP, match: []condition{equal(offsetSport, portBytes(s.Port)...)}}
		all = append(all, table.AddRule(chain, c.renumber(c.to, c.from, s, k, offsetSport, s.Server.Port())...))
	}
	return all
}

// renumber returns the expressions that write a port of packets of the kind between a peer and the server. peer and server are
// where their addresses are.
func (c captureFamily) renumber(peer, server byteRange, s StandIn, k packetKind, offset uint32, port uint16) [][]byte {
	exprs := [][]byte{nftnl.Meta(unix.NFT_META_NFPROTO, 0), nftnl.Equals(0, []byte{c.proto}),
		field(unix.NFT_PAYLOAD_NETWORK_HEADER, server, 0), nftnl.Equals(0, s.Server.Addr().AsSlice()),
		field(unix.NFT_PAYLOAD_NETWORK_HEADER, peer, 0), nftnl.InSet(c.peers.nft(), 0)}
	exprs = append(exprs, k.expressions()...)
	return append(exprs, nftnl.LoadBytes(0, portBytes(port)), nftnl.SetPort(offset, 0))
}

// familyOf returns the layout of the address's family.
func familyOf(a netip.Addr) captureFamily {
	if a.Is4() {
		return families[0]
	}
	return families[1]
}

// The offsets of the ports in the header of UDP (RFC 768).
const (
	offsetSport = 0
	offsetDport = 2
)

func portBytes(port uint16) []byte { return binary.BigEndian.AppendUint16(nil, port) }
