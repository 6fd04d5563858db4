package iptables

import (
	"cmp"
	"encoding/binary"
	"fmt"
	"strings"

	"replypath/marks"
	"replypath/marks/nlattr"

	"golang.org/x/sys/unix"
)

// familyNames are nft(8)'s words.
var familyNames = map[uint8]string{unix.NFPROTO_INET: "inet", unix.NFPROTO_IPV4: "ip", unix.NFPROTO_IPV6: "ip6",
	unix.NFPROTO_BRIDGE: "bridge", unix.NFPROTO_NETDEV: "netdev", unix.NFPROTO_ARP: "arp"}

// foreignNFT reads the rules and flow tables of nftables, in whatever table. Those that ours can have nothing to do with are
// left out.
func foreignNFT() (all []marks.ForeignRule, err error) {
	chains, err := dumpAll(unix.NFT_MSG_GETCHAIN)
	if err != nil {
		return nil, err
	}
	afterMangle := map[string]bool{} // base chains that a packet meets after ours in mangle
	for _, c := range chains {
		hook := nlattr.Find(c.attributes, unix.NFTA_CHAIN_HOOK)
		if priority := nlattr.Find(hook, unix.NFTA_HOOK_PRIORITY); len(priority) == 4 {
			afterMangle[c.location(unix.NFTA_CHAIN_TABLE, unix.NFTA_CHAIN_NAME)] = int32(binary.BigEndian.Uint32(priority)) > manglePriority
		}
	}
	rules, err := dumpAll(unix.NFT_MSG_GETRULE)
	if err != nil {
		return nil, err
	}
	for _, r := range rules {
		if strings.HasPrefix(r.name(unix.NFTA_RULE_TABLE), strings.ToLower(marks.Prefix)) {
			continue // a proof's, for a moment
		}
		if r.name(unix.NFTA_RULE_TABLE) == marks.MangleTable && strings.HasPrefix(r.name(unix.NFTA_RULE_CHAIN), marks.Prefix) {
			continue
		}
		f := marks.ForeignRule{Tool: "nft list ruleset", Location: r.location(unix.NFTA_RULE_TABLE, unix.NFTA_RULE_CHAIN), Chain: r.name(unix.NFTA_RULE_CHAIN)}
		e := evaluator{rule: &f, registers: map[uint32]registerValue{}}
		for name, data := range expressions(r.attributes) {
			e.eval(name, data)
		}
		f.Text = strings.Join(e.terms, ", ")
		if base, known := afterMangle[f.Location]; known {
			f.ChecksWithMark = f.ChecksWithMark && base
		}
		if f.Relevant() {
			all = append(all, f)
		}
	}
	flows, err := dumpAll(unix.NFT_MSG_GETFLOWTABLE)
	for _, t := range flows {
		name := t.name(flowtableName)
		all = append(all, marks.ForeignRule{Tool: "nft list flowtables", Location: t.location(flowtableTable, flowtableName),
			Chain: name, Text: "flowtable " + name, FlowOffload: true})
	}
	return all, err
}

// manglePriority is where the mangle table hooks in (linux/netfilter_ipv4.h, NF_IP_PRI_MANGLE).
const manglePriority = -150

// nftObject is a chain, a rule or a flow table of nftables.
type nftObject struct {
	family     uint8
	attributes []byte
}

func (o nftObject) name(kind uint16) string {
	return unix.ByteSliceToString(nlattr.Find(o.attributes, kind))
}

// location is the object's family, table and chain.
func (o nftObject) location(table, name uint16) string {
	return fmt.Sprintf("%s %s %s", cmp.Or(familyNames[o.family], fmt.Sprint(o.family)), o.name(table), o.name(name))
}

// dumpAll lists objects of all families and tables. A kernel that does not know their kind has none.
func dumpAll(kind uint16) (all []nftObject, err error) {
	c, err := openDumpSocket()
	if err != nil {
		return nil, fmt.Errorf("open a netfilter socket: %w", err)
	}
	defer c.close()
	for range maxDumpAttempts {
		all = nil
		err = c.dump(message(kind, unix.NLM_F_DUMP, unix.NFPROTO_UNSPEC), func(family uint8, attributes []byte) {
			all = append(all, nftObject{family, attributes})
		})
		if err != unix.EINTR {
			break
		}
	}
	if err == unix.EINVAL || err == unix.EOPNOTSUPP {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("list the rules of nftables: %w", err)
	}
	return all, nil
}

// The attributes of a flow table (linux/netfilter/nf_tables.h).
const (
	flowtableTable = 1
	flowtableName  = 2
)
