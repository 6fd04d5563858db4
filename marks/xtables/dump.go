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

// digest sums up what the nftables table holds but for its counters. Most changes to nftables are made in other tables,
// and are not worth a process. The legacy backend's stamp is such a sum already.
func (t *Table) digest() (uint64, error) {
	if t.Backend != marks.NFT {
		return 0, nil
	}
	chains, err := t.dump(unix.NFT_MSG_GETCHAIN)
	if err != nil {
		return 0, err
	}
	rules, err := t.dump(unix.NFT_MSG_GETRULE)
	if err != nil {
		return 0, err
	}
	h := fnv.New64a()
	for _, c := range chains {
		fmt.Fprintf(h, "%s %x\n", nfnetlink.Value(c, unix.NFTA_CHAIN_NAME), nfnetlink.Value(c, unix.NFTA_CHAIN_HOOK))
	}
	for _, r := range rules {
		fmt.Fprintf(h, "%s", nfnetlink.Value(r, unix.NFTA_RULE_CHAIN))
		for name, data := range expressions(r) {
			if name != counter {
				fmt.Fprintf(h, " %s %x", name, data)
			}
		}
		fmt.Fprintln(h)
	}
	return h.Sum64(), nil
}

const counter = "counter"

// names are the names of the nftables table's chains.
func (t *Table) names() (all []string, err error) {
	chains, err := t.dump(unix.NFT_MSG_GETCHAIN)
	for _, c := range chains {
		all = append(all, unix.ByteSliceToString(nfnetlink.Value(c, unix.NFTA_CHAIN_NAME)))
	}
	return all, err
}

// dumps bounds how often a dump begins anew because somebody changed what is dumped.
const dumps = 20

// dump lists the nftables table's chains or rules, each as its attributes.
func (t *Table) dump(kind uint16) (all [][]byte, err error) {
	for range dumps {
		if all, err = t.dumpOnce(kind); err != unix.EINTR {
			break
		}
	}
	if err != nil {
		return nil, fmt.Errorf("list the nftables table %s: %w", marks.Table, err)
	}
	return all, nil
}

func (t *Table) dumpOnce(kind uint16) (all [][]byte, err error) {
	// The name of the table is the first attribute of a chain and of a rule.
	request := message(kind, unix.NLM_F_DUMP, t.family(), nfnetlink.Text(unix.NFTA_RULE_TABLE, marks.Table))
	err = list(request, func(_ uint8, of []byte) {
		if unix.ByteSliceToString(nfnetlink.Value(of, unix.NFTA_RULE_TABLE)) == marks.Table {
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
	for {
		buffer := make([]byte, 1<<16)
		n, _, err := unix.Recvfrom(fd, buffer, 0)
		if err == unix.EINTR {
			continue
		}
		if err != nil {
			return err
		}
		for m := range nfnetlink.Messages(buffer[:n]) {
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
	}
}

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
