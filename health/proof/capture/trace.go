package capture

import (
	"replypath/marks/nftnl"

	"golang.org/x/sys/unix"
)

// traceRequests returns the requests for rules that have packets from and to the peers traced: requests and replies that come in,
// and those of this host.
func traceRequests() (all []nftnl.Request) {
	for _, base := range []string{"prerouting-start", "output-start"} {
		for _, c := range families {
			for _, peer := range []byteRange{c.from, c.to} {
				all = append(all, table.AddRule(base, nftnl.Meta(unix.NFT_META_NFPROTO, 0), nftnl.Equals(0, []byte{c.proto}),
					field(unix.NFT_PAYLOAD_NETWORK_HEADER, peer, 0), nftnl.InSet(c.peers.nft(), 0), nftnl.LoadByte(0, 1), nftnl.SetMeta(unix.NFT_META_NFTRACE, 0)))
			}
		}
	}
	return all
}
