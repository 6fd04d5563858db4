package marks

import (
	"fmt"
	"slices"
	"strings"
)

// FlowTable is the definition of the table FlowTableName of the family inet: a flow table of nftables, by which the kernel
// forwards the packets of established TCP and UDP connections with the mark of an uplink from link to link, past all rules
// and routes. Values can be compared: NewFlowTable sorts their lists.
type FlowTable struct {
	Mask    Mask
	Uplinks List[FlowLink] // the links of uplinks
	Inside  List[string]   // the other links
}

// FlowState is the flow table in the kernel. Only one of which nothing is reported is as it should be.
type FlowState struct {
	FlowTable
	// Damaged reports that the table is not as replypath makes it: another program has changed it, or a link is gone.
	Damaged bool
	// Moved reports that a request of a connection in the flow table came in by another uplink than before: its replies still
	// leave by the old one.
	Moved bool
	// MTUChanged reports that a link has another MTU than when the table was made: connections in it keep the one that they had.
	MTUChanged bool
}

// Names of the table and of the objects in it.
const (
	FlowTableName      = NFTTable + "-flow"
	FlowTableObject    = "flows"
	FlowTablePre       = "prerouting"
	FlowTableForward   = "forward"
	FlowTableMarks     = "marks"
	FlowTableLinks     = "links"
	FlowTableProtocols = "protocols"
	FlowTableMoved     = "moved"
)

// MaxFlowLinks is the number of links that a flow table can have (include/net/netfilter/nf_tables.h, NFT_NETDEVICE_MAX).
const MaxFlowLinks = 255

// Priorities of the chains. What is looked for in prerouting is looked for before the marks of connections change. A
// connection enters the flow table by a packet that every other chain of FORWARD has let pass.
const (
	FlowTablePrePriority     = -152
	FlowTableForwardPriority = 1<<31 - 1
)

// Bits of a connection's status (linux/netfilter/nf_conntrack_common.h): packets were seen in both directions, and it is in a
// flow table.
const (
	ConnAssured   = 1 << 2
	ConnOffloaded = 1 << 14
)

// FlowLink is the link of an uplink with the mark of its connections.
type FlowLink struct {
	Name string
	Mark Mark
}

// NewFlowTable returns the definition of a flow table.
func NewFlowTable(mask Mask, uplinks []FlowLink, inside []string) FlowTable {
	uplinks = slices.SortedFunc(slices.Values(uplinks), func(a, b FlowLink) int { return strings.Compare(a.Name, b.Name) })
	return FlowTable{mask, NewList(uplinks...), NewList(slices.Sorted(slices.Values(inside))...)}
}

// Links returns the names of all links, sorted.
func (t FlowTable) Links() []string {
	all := t.Inside.Values()
	for _, u := range t.Uplinks.Values() {
		all = append(all, u.Name)
	}
	slices.Sort(all)
	return all
}

// NFTDelete is the command of nft(8) that deletes the table, without the word nft.
const NFTDelete = "delete table inet " + FlowTableName

// NFTCommand formats the commands of nft(8) that make the table, in place of one that exists, as one transaction, without the
// word nft.
func (t FlowTable) NFTCommand() string {
	var marks []string
	for _, u := range t.Uplinks.Values() {
		marks = append(marks, u.Mark.String())
	}
	links := `"` + strings.Join(t.Links(), `", "`) + `"`
	of := func(kind, name string) string { return "add " + kind + " inet " + FlowTableName + " " + name + " " }
	commands := []string{
		"add table inet " + FlowTableName, NFTDelete, "add table inet " + FlowTableName,
		of("set", FlowTableMarks) + "{ type mark; elements = { " + strings.Join(marks, ", ") + " }; }",
		of("set", FlowTableLinks) + "{ type ifname; elements = { " + links + " }; }",
		of("set", FlowTableProtocols) + "{ type inet_proto; elements = { tcp, udp }; }",
		of("quota", FlowTableMoved) + "{ over 1 bytes; }",
		of("flowtable", FlowTableObject) + "{ hook ingress priority 0; devices = { " + links + " }; counter; }",
		of("chain", FlowTablePre) + fmt.Sprintf("{ type filter hook prerouting priority %d; policy accept; }", FlowTablePrePriority),
		of("chain", FlowTableForward) + fmt.Sprintf("{ type filter hook forward priority %d; policy accept; }", FlowTableForwardPriority),
		of("rule", FlowTablePre) + fmt.Sprintf("ct status & %#x == 0 return", ConnOffloaded),
	}
	for _, u := range t.Uplinks.Values() {
		commands = append(commands, of("rule", FlowTablePre)+
			fmt.Sprintf("iifname %q ct direction original ct mark & %s != %s quota name %q", u.Name, t.Mask, u.Mark, FlowTableMoved))
	}
	commands = append(commands, of("rule", FlowTableForward)+
		fmt.Sprintf("ct mark & %s @%s ct status assured iifname @%s oifname @%s meta l4proto @%s flow add @%s",
			t.Mask, FlowTableMarks, FlowTableLinks, FlowTableLinks, FlowTableProtocols, FlowTableObject))
	return strings.Join(commands, "; ")
}
