package capture

import (
	"net/netip"

	"replypath/marks/nftnl"

	"golang.org/x/sys/unix"
)

// ProxyStandIn is the sockets of the prover that get the requests by UDP which interception gives to transparent proxies, whose packets
// have the bit: behind the chains of interception they are redirected once more. Each family has one socket at most.
type ProxyStandIn struct {
	Bit     uint32
	Sockets []netip.AddrPort
}

// proxyChain is the chain that redirects the requests.
var proxyChain = chain{name: "prerouting-proxy", hook: unix.NF_INET_PRE_ROUTING, priority: priorityAfterMarked}

// operationTProxy is the operation that a kernel without nft_tproxy refuses.
const operationTProxy = "add a rule that redirects to a socket"

// proxyRequests returns the requests for the rules that redirect requests with the secret.
func (f Filter) proxyRequests() []nftnl.Request {
	all := []nftnl.Request{proxyChain.create()}
	for _, socket := range f.Proxies.Sockets {
		c := familyOf(socket.Addr())
		for _, k := range f.requestKinds(c) {
			if k.proto != unix.IPPROTO_UDP {
				continue
			}
			rule := table.AddRule(proxyChain.name, c.redirect(k, f.Proxies.Bit, socket)...)
			rule.Operation = operationTProxy
			all = append(all, rule)
		}
	}
	return all
}

// redirect returns the expressions that give requests of the kind to the socket, if they have the bit.
func (c captureFamily) redirect(k packetKind, bit uint32, socket netip.AddrPort) [][]byte {
	exprs := [][]byte{nftnl.Meta(unix.NFT_META_NFPROTO, 0), nftnl.Equals(0, []byte{c.proto}),
		nftnl.Meta(unix.NFT_META_MARK, 0), nftnl.MaskMark(0, bit, 0), nftnl.CompareMark(0, unix.NFT_CMP_EQ, bit),
		field(unix.NFT_PAYLOAD_NETWORK_HEADER, c.from, 0), nftnl.InSet(c.peers.nft(), 0)}
	exprs = append(exprs, k.expressions()...)
	const port, address = 0, 4
	return append(exprs, nftnl.LoadBytes(port, portBytes(socket.Port())), nftnl.LoadBytes(address, socket.Addr().AsSlice()),
		nftnl.TProxy(c.proto, port, address))
}
