package xtables

import (
	"cmp"
	"encoding/binary"
	"fmt"
	"strings"

	"replypath/marks"
	"replypath/marks/nfnetlink"

	"golang.org/x/sys/unix"
)

// familyNames are nft(8)'s words.
var familyNames = map[uint8]string{unix.NFPROTO_INET: "inet", unix.NFPROTO_IPV4: "ip", unix.NFPROTO_IPV6: "ip6",
	unix.NFPROTO_BRIDGE: "bridge", unix.NFPROTO_NETDEV: "netdev", unix.NFPROTO_ARP: "arp"}

// ruleset reads the rules and flow tables of nftables, in whatever table. Those that ours can have nothing to do with are
// left out.
func ruleset() (all []marks.Foreign, err error) {
	chains, err := everything(unix.NFT_MSG_GETCHAIN)
	if err != nil {
		return nil, err
	}
	late := map[string]bool{} // base chains that a packet meets after ours in mangle
	for _, c := range chains {
		hook := nfnetlink.Value(c.attributes, unix.NFTA_CHAIN_HOOK)
		if priority := nfnetlink.Value(hook, unix.NFTA_HOOK_PRIORITY); len(priority) == 4 {
			late[c.place(unix.NFTA_CHAIN_TABLE, unix.NFTA_CHAIN_NAME)] = int32(binary.BigEndian.Uint32(priority)) > manglePriority
		}
	}
	rules, err := everything(unix.NFT_MSG_GETRULE)
	if err != nil {
		return nil, err
	}
	for _, r := range rules {
		if strings.HasPrefix(r.text(unix.NFTA_RULE_TABLE), strings.ToLower(marks.Prefix)) {
			continue // a proof's, for a moment
		}
		if r.text(unix.NFTA_RULE_TABLE) == marks.Table && strings.HasPrefix(r.text(unix.NFTA_RULE_CHAIN), marks.Prefix) {
			continue
		}
		f := marks.Foreign{Tool: "nft list ruleset", Place: r.place(unix.NFTA_RULE_TABLE, unix.NFTA_RULE_CHAIN), Chain: r.text(unix.NFTA_RULE_CHAIN)}
		e := evaluation{rule: &f, held: map[uint32]held{}}
		for name, data := range expressions(r.attributes) {
			e.take(name, data)
		}
		f.Text = strings.Join(e.said, ", ")
		if base, known := late[f.Place]; known {
			f.Marked = f.Marked && base
		}
		if f.Concerns() {
			all = append(all, f)
		}
	}
	flows, err := everything(unix.NFT_MSG_GETFLOWTABLE)
	for _, t := range flows {
		name := t.text(flowtableName)
		all = append(all, marks.Foreign{Tool: "nft list flowtables", Place: t.place(flowtableTable, flowtableName),
			Chain: name, Text: "flowtable " + name, Offloads: true})
	}
	return all, err
}

// manglePriority is where the mangle table hooks in (linux/netfilter_ipv4.h, NF_IP_PRI_MANGLE).
const manglePriority = -150

// object is a chain, a rule or a flow table of nftables.
type object struct {
	family     uint8
	attributes []byte
}

func (o object) text(kind uint16) string {
	return unix.ByteSliceToString(nfnetlink.Value(o.attributes, kind))
}

// place is the object's family, table and chain.
func (o object) place(table, name uint16) string {
	return fmt.Sprintf("%s %s %s", cmp.Or(familyNames[o.family], fmt.Sprint(o.family)), o.text(table), o.text(name))
}

// everything lists objects of all families and tables. A kernel that does not know their kind has none.
func everything(kind uint16) (all []object, err error) {
	c, err := converse()
	if err != nil {
		return nil, fmt.Errorf("open a netfilter socket: %w", err)
	}
	defer c.close()
	for range dumps {
		all = nil
		err = c.list(message(kind, unix.NLM_F_DUMP, unix.NFPROTO_UNSPEC), func(family uint8, attributes []byte) {
			all = append(all, object{family, attributes})
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
