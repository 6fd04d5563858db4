package capture

import (
	"replypath/marks/netfilter"

	"golang.org/x/sys/unix"
)

// traceRequests returns the requests for rules that have packets from and to the peers traced: requests and replies that come in,
// and those of this host.
func traceRequests() (all []request) {
	for _, base := range []string{"prerouting-start", "output-start"} {
		for _, c := range families {
			for _, peer := range []byteRange{c.from, c.to} {
				all = append(all, newRule(base, meta(unix.NFT_META_NFPROTO, 0), equals([]byte{c.proto}),
					field(unix.NFT_PAYLOAD_NETWORK_HEADER, peer, 0), inSet(c.peers), loadByte(0, 1), setTrace(0)))
			}
		}
	}
	return all
}

// loadByte loads a constant of one byte into a register.
func loadByte(word int, value byte) []byte {
	return expression("immediate", be32(unix.NFTA_IMMEDIATE_DREG, register(word)),
		nested(unix.NFTA_IMMEDIATE_DATA, netfilter.Attribute(unix.NFTA_DATA_VALUE, []byte{value})))
}

// setTrace sets whether the packet is traced.
func setTrace(from int) []byte {
	return expression("meta", be32(unix.NFTA_META_KEY, unix.NFT_META_NFTRACE), be32(unix.NFTA_META_SREG, register(from)))
}
