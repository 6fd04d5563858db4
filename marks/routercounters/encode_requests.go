package routercounters

import (
	"encoding/binary"
	"net"

	"replypath/marks"
	"replypath/marks/nftnl"

	"golang.org/x/sys/unix"
)

const (
	stateNew    = 1 << 3 // NF_CT_STATE_BIT(IP_CT_NEW)
	etherSource = 6      // the offset of the source address in the header of a frame
	macSize     = 6
)

// createRequests returns the requests that make what counts the requests of routers, but for the rules.
func createRequests(c marks.RouterCounters) (requests []nftnl.Request) {
	all := c.Routers.Values()
	if len(all) == 0 {
		return nil
	}
	requests = append(requests, table.CreateBaseChain(marks.RouterCountersPre, "filter", unix.NF_INET_PRE_ROUTING, marks.RouterCountersPriority))
	for _, r := range all {
		requests = append(requests, table.CreateCounter(r.Counter()))
	}
	return requests
}

// requestRules returns the rules of the chain that counts the requests of routers.
func requestRules(all []marks.CountedRouter) [][][]byte {
	rules := [][][]byte{
		{nftnl.Ct(unix.NFT_CT_STATE, word), nftnl.CompareMark(word, unix.NFT_CMP_NEQ, stateNew), nftnl.Return()},
		{nftnl.Meta(unix.NFT_META_PKTTYPE, word), nftnl.Compare(word, unix.NFT_CMP_NEQ, []byte{unix.PACKET_HOST}), nftnl.Return()},
	}
	ether := binary.NativeEndian.AppendUint16(nil, unix.ARPHRD_ETHER)
	for _, r := range all {
		mac, _ := net.ParseMAC(r.MAC) // an address that is none matches no frame
		rules = append(rules, [][]byte{nftnl.Meta(unix.NFT_META_IIFNAME, word), nftnl.Equals(word, nftnl.LinkName(r.Link)),
			nftnl.Meta(unix.NFT_META_IIFTYPE, word), nftnl.Equals(word, ether),
			nftnl.Field(unix.NFT_PAYLOAD_LL_HEADER, etherSource, macSize, word), nftnl.Equals(word, mac), nftnl.CountIn(r.Counter())})
	}
	return rules
}
