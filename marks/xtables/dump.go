package xtables

import (
	"encoding/binary"
	"fmt"
	"hash/fnv"
	"iter"

	"replypath/marks"
	"replypath/marks/nfnetlink"

	"golang.org/x/sys/unix"
)

// nftTable is a table of nftables as the kernel holds it: its chains and its rules, each as its attributes.
type nftTable struct{ chains, rules [][]byte }

// nft reads one of the tables of nftables.
func (t *Table) nft(name string) (held nftTable, err error) {
	if held.chains, err = t.dump(unix.NFT_MSG_GETCHAIN, name); err != nil {
		return held, err
	}
	held.rules, err = t.dump(unix.NFT_MSG_GETRULE, name)
	return held, err
}

// digest sums up what the table holds but for its counters. Most changes to nftables are made in other tables, and are
// not worth a process.
func (n nftTable) digest() uint64 {
	h := fnv.New64a()
	for _, c := range n.chains {
		h.Write(nfnetlink.Value(c, unix.NFTA_CHAIN_NAME))
		h.Write(nfnetlink.Value(c, unix.NFTA_CHAIN_HOOK))
	}
	for _, r := range n.rules {
		h.Write(nfnetlink.Value(r, unix.NFTA_RULE_CHAIN))
		for _, element := range nfnetlink.Attributes(nfnetlink.Value(r, unix.NFTA_RULE_EXPRESSIONS)) {
			if unix.ByteSliceToString(nfnetlink.Value(element, unix.NFTA_EXPR_NAME)) != counter {
				h.Write(element)
			}
		}
		h.Write([]byte{0})
	}
	return h.Sum64()
}

const counter = "counter"

// names are the names of the nftables table's chains.
func (t *Table) names() (all []string, err error) {
	chains, err := t.dump(unix.NFT_MSG_GETCHAIN, marks.Table)
	for _, c := range chains {
		all = append(all, unix.ByteSliceToString(nfnetlink.Value(c, unix.NFTA_CHAIN_NAME)))
	}
	return all, err
}

// dumps bounds how often a dump begins anew because somebody changed what is dumped.
const dumps = 20

// dump lists the nftables table's chains or rules, each as its attributes.
func (t *Table) dump(kind uint16, table string) (all [][]byte, err error) {
	for range dumps {
		if all, err = t.dumpOnce(kind, table); err != unix.EINTR {
			break
		}
	}
	if err != nil {
		return nil, fmt.Errorf("list the nftables table %s: %w", table, err)
	}
	return all, nil
}

func (t *Table) dumpOnce(kind uint16, table string) (all [][]byte, err error) {
	// The name of the table is the first attribute of a chain and of a rule.
	request := message(kind, unix.NLM_F_DUMP, t.family(), nfnetlink.Text(unix.NFTA_RULE_TABLE, table))
	err = list(request, func(_ uint8, of []byte) {
		if unix.ByteSliceToString(nfnetlink.Value(of, unix.NFTA_RULE_TABLE)) == table {
			all = append(all, of)
		}
	})
	return all, err
}

// list sends a request for a dump and gives each answer: its family, and its attributes. Its error is EINTR when somebody
// changed meanwhile what is listed.
func list(request []byte, each func(family uint8, attributes []byte)) error {
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.NETLINK_NETFILTER)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	if err := unix.Sendto(fd, request, 0, &unix.SockaddrNetlink{Family: unix.AF_NETLINK}); err != nil {
		return err
	}
	torn := false
	var room []byte
	for {
		if len(room) < answerRoom {
			room = make([]byte, 4*answerRoom)
		}
		n, _, err := unix.Recvfrom(fd, room, 0)
		if err == unix.EINTR {
			continue
		}
		if err != nil {
			return err
		}
		for m := range nfnetlink.Messages(room[:n]) {
			torn = torn || binary.NativeEndian.Uint16(m[6:])&unix.NLM_F_DUMP_INTR != 0
			body := m[unix.SizeofNlMsghdr:]
			switch binary.NativeEndian.Uint16(m[4:]) {
			case unix.NLMSG_ERROR, unix.NLMSG_DONE:
				errno := -int32(binary.NativeEndian.Uint32(body))
				switch {
				case errno != 0:
					return unix.Errno(errno)
				case torn:
					return unix.EINTR
				}
				return nil
			}
			each(body[0], body[4:])
		}
		room = room[n:] // what was read is kept
	}
}

// answerRoom is more than the kernel sends at a time.
const answerRoom = 1 << 16

// expressions are the parts of a rule, by their kind (linux/netfilter/nf_tables.h).
func expressions(rule []byte) iter.Seq2[string, []byte] {
	return func(yield func(string, []byte) bool) {
		for _, element := range nfnetlink.Attributes(nfnetlink.Value(rule, unix.NFTA_RULE_EXPRESSIONS)) {
			if !yield(unix.ByteSliceToString(nfnetlink.Value(element, unix.NFTA_EXPR_NAME)), nfnetlink.Value(element, unix.NFTA_EXPR_DATA)) {
				return
			}
		}
	}
}
