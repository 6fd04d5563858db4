package flowtable

import (
	"replypath/marks"
	"replypath/marks/nftnl"

	"golang.org/x/sys/unix"
)

// table is the table of nftables.
const table = nftnl.Table(marks.FlowTableName)

// word is the register of all values.
const word = 0

// The sets, by their numbers in the transaction.
var (
	markSet     = nftnl.Set{Name: marks.FlowTableMarks, ID: 1, KeyType: nftnl.TypeMark, KeyLength: 4}
	linkSet     = nftnl.Set{Name: marks.FlowTableLinks, ID: 2, KeyType: nftnl.TypeIfname, KeyLength: unix.IFNAMSIZ}
	protocolSet = nftnl.Set{Name: marks.FlowTableProtocols, ID: 3, KeyType: nftnl.TypeProtocol, KeyLength: 1}
)

// protocols are what a flow table forwards.
var protocols = [][]byte{{unix.IPPROTO_TCP}, {unix.IPPROTO_UDP}}

// create returns the requests that make the table of the definition.
func create(t marks.FlowTable) []nftnl.Request {
	var markKeys, linkKeys, protocolKeys [][]byte
	for _, u := range t.Uplinks.Values() {
		markKeys = append(markKeys, nftnl.MarkKey(uint32(u.Mark)))
	}
	for _, l := range t.Links() {
		linkKeys = append(linkKeys, nftnl.NameKey(l))
	}
	for _, p := range protocols {
		protocolKeys = append(protocolKeys, nftnl.Key(p))
	}
	requests := []nftnl.Request{
		table.Create(0),
		table.CreateSet(markSet), table.AddElements(markSet, markKeys...),
		table.CreateSet(linkSet), table.AddElements(linkSet, linkKeys...),
		table.CreateSet(protocolSet), table.AddElements(protocolSet, protocolKeys...),
		table.CreateQuota(marks.FlowTableMoved, 1),
		table.CreateFlowTable(marks.FlowTableObject, t.Links()),
		table.CreateBaseChain(marks.FlowTablePre, "filter", unix.NF_INET_PRE_ROUTING, marks.FlowTablePrePriority),
		table.CreateBaseChain(marks.FlowTableForward, "filter", unix.NF_INET_FORWARD, marks.FlowTableForwardPriority),
	}
	for _, r := range preRules(t) {
		requests = append(requests, table.AddRule(marks.FlowTablePre, r...))
	}
	return append(requests, table.AddRule(marks.FlowTableForward, forwardRule(t)...))
}

// preRules returns the rules that notice a request of a connection in the flow table that came in by another uplink than the
// connection's packets before.
func preRules(t marks.FlowTable) (rules [][][]byte) {
	rules = append(rules, [][]byte{
		nftnl.Ct(unix.NFT_CT_STATUS, word), nftnl.MaskMark(word, marks.ConnOffloaded, 0), nftnl.Equals(word, nftnl.Native(0)), nftnl.Return(),
	})
	for _, u := range t.Uplinks.Values() {
		rules = append(rules, [][]byte{
			nftnl.Meta(unix.NFT_META_IIFNAME, word), nftnl.Equals(word, nftnl.LinkName(u.Name)),
			nftnl.Ct(unix.NFT_CT_DIRECTION, word), nftnl.Equals(word, []byte{0}),
			nftnl.Ct(unix.NFT_CT_MARK, word), nftnl.MaskMark(word, uint32(t.Mask), 0), nftnl.CompareMark(word, unix.NFT_CMP_NEQ, uint32(u.Mark)),
			nftnl.CountToQuota(marks.FlowTableMoved),
		})
	}
	return rules
}

// forwardRule returns the rule that puts a connection into the flow table.
func forwardRule(t marks.FlowTable) [][]byte {
	return [][]byte{
		nftnl.Ct(unix.NFT_CT_MARK, word), nftnl.MaskMark(word, uint32(t.Mask), 0), nftnl.InSet(markSet, word),
		nftnl.Ct(unix.NFT_CT_STATUS, word), nftnl.MaskMark(word, marks.ConnAssured, 0), nftnl.CompareMark(word, unix.NFT_CMP_NEQ, 0),
		nftnl.Meta(unix.NFT_META_IIFNAME, word), nftnl.InSet(linkSet, word),
		nftnl.Meta(unix.NFT_META_OIFNAME, word), nftnl.InSet(linkSet, word),
		nftnl.Meta(unix.NFT_META_L4PROTO, word), nftnl.InSet(protocolSet, word),
		nftnl.AddFlow(marks.FlowTableObject),
	}
}
