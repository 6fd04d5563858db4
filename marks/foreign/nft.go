package foreign

import (
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"strings"

	"replypath/marks"
	"replypath/marks/netfilter"
	"replypath/marks/nlattr"

	"golang.org/x/sys/unix"
)

// familyNames are the names of families in nft(8).
var familyNames = map[uint8]string{unix.NFPROTO_INET: "inet", unix.NFPROTO_IPV4: "ip", unix.NFPROTO_IPV6: "ip6",
	unix.NFPROTO_BRIDGE: "bridge", unix.NFPROTO_NETDEV: "netdev", unix.NFPROTO_ARP: "arp"}

// manglePriority is the priority of the mangle table (linux/netfilter_ipv4.h, NF_IP_PRI_MANGLE).
const manglePriority = -150

// flowtableName is the attribute with a flow table's name (linux/netfilter/nf_tables.h, NFTA_FLOWTABLE_NAME).
const flowtableName = 2

// readNFT returns the relevant rules and the flow tables of nftables in all families and tables.
func readNFT() (rules []Rule, err error) {
	chains, err := netfilter.Objects(unix.NFT_MSG_GETCHAIN)
	objects, failed := netfilter.Objects(unix.NFT_MSG_GETRULE)
	if err = errors.Join(err, failed); err != nil {
		return nil, err
	}
	read := readChainRules(objects)
	if err := readVerdictMaps(chains, read); err != nil {
		return nil, err
	}
	afterMangle, hooks, egress, ports := baseChainsAfterMangle(chains), baseChainHooks(chains), egressChains(chains, read), portsOfChains(linksOf(read))
	ingress, forwarded, breaks := ingressChains(chains, read), forwardedChains(chains, read), breaksDiscovery(hooks, egress, read)
	setHooks(read, hooks)
	followNAT(nftNAT(read))
	for i, c := range read {
		r := c.rule
		if after, isBase := afterMangle[r.Location]; isBase {
			r.ChecksWithMark = r.ChecksWithMark && after
		}
		if chain, is := egress[r.Location]; is {
			r.Egress = true
			r.setBehaviour(chain, c.Behaviour)
		} else if chain, is := ingress[r.Location]; is {
			r.Ingress = true
			r.setBehaviour(chain, c.Behaviour)
		}
		_, r.Forwarded = forwarded[r.Location]
		r.Counts, r.BreaksDiscovery = r.Forwarded && c.Counts, breaks[i]
		if r.Counts || r.BreaksDiscovery {
			r.Text = c.Text
		}
		if err := r.readPortSets(c.family, c.table, c.PortSets); err != nil {
			return nil, err
		}
		r.inherit(ports)
		if r.Relevant() {
			rules = append(rules, r)
		}
	}
	for _, r := range droppingPolicies(egress) {
		r.Egress = true
		rules = append(rules, r)
	}
	for _, r := range droppingPolicies(ingress) {
		r.Ingress = true
		rules = append(rules, r)
	}
	flowtables, err := netfilter.Objects(unix.NFT_MSG_GETFLOWTABLE)
	for _, o := range flowtables {
		name := netfilter.FindString(o.Attributes, flowtableName)
		if isOwnTable(netfilter.FindString(o.Attributes, unix.NFTA_CHAIN_TABLE)) {
			continue
		}
		rules = append(rules, Rule{Tool: "nft list flowtables", Location: location(o, flowtableName),
			Chain: name, Text: "flowtable " + name, FlowOffload: true})
	}
	return rules, err
}

// isOwnTable reports whether the table is marks.NFTTable, or the capture table of a running proof.
func isOwnTable(table string) bool {
	return table == marks.NFTTable || strings.HasPrefix(table, marks.NFTTable+"-")
}

// baseChainsAfterMangle returns the base chains by location, and whether a packet traverses each after the mangle
// table.
func baseChainsAfterMangle(chains []netfilter.Object) map[string]bool {
	after := map[string]bool{}
	for _, c := range chains {
		hook := nlattr.Find(c.Attributes, unix.NFTA_CHAIN_HOOK)
		if priority := nlattr.Find(hook, unix.NFTA_HOOK_PRIORITY); len(priority) == 4 {
			after[location(c, unix.NFTA_CHAIN_NAME)] = int32(binary.BigEndian.Uint32(priority)) > manglePriority
		}
	}
	return after
}

// location returns the object's family, table and name. The kind of the attribute with the table is the same for all objects
// (linux/netfilter/nf_tables.h); name is the kind of that with the name of the chain or flow table.
func location(o netfilter.Object, name uint16) string {
	return fmt.Sprintf("%s %s %s", cmp.Or(familyNames[o.Family], fmt.Sprint(o.Family)),
		netfilter.FindString(o.Attributes, unix.NFTA_CHAIN_TABLE), netfilter.FindString(o.Attributes, name))
}
