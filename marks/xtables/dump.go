package xtables

import (
	"fmt"
	"hash/fnv"
	"iter"
	"strings"

	"replypath/marks"
	"replypath/marks/nfnetlink"

	"golang.org/x/sys/unix"
)

// nftTable is a table of nftables as the kernel holds it: its chains and its rules, each as its attributes.
type nftTable struct{ chains, rules [][]byte }

// nft reads the table, of its rules those in our chains and in the built-in ones that ours are reached from: others may
// have thousands. What changes meanwhile may be there in part.
func (t *Table) nft() (held nftTable, err error) {
	c, err := converse()
	if err != nil {
		return held, err
	}
	defer c.close()
	if held.chains, err = t.dump(c, unix.NFT_MSG_GETCHAIN, marks.Table); err != nil {
		return held, err
	}
	for _, chain := range held.chains {
		name := chainName(chain)
		if !read(name) {
			continue
		}
		rules, err := t.dump(c, unix.NFT_MSG_GETRULE, marks.Table, nfnetlink.Text(unix.NFTA_RULE_CHAIN, name))
		if err != nil {
			return held, err
		}
		held.rules = append(held.rules, rules...)
	}
	return held, nil
}

// read reports whether the rules of a chain of mangle are read.
func read(chain string) bool {
	return strings.HasPrefix(chain, marks.Prefix) || marks.Hooked(chain)
}

func chainName(chain []byte) string {
	return unix.ByteSliceToString(nfnetlink.Value(chain, unix.NFTA_CHAIN_NAME))
}

// digest sums up what all of the nftables table holds but for its counters. Most changes to nftables are made in other
// tables, and are not worth a process.
func (t *Table) digest() (uint64, error) {
	c, err := converse()
	if err != nil {
		return 0, err
	}
	defer c.close()
	chains, err := t.dump(c, unix.NFT_MSG_GETCHAIN, marks.Table)
	if err != nil {
		return 0, err
	}
	rules, err := t.dump(c, unix.NFT_MSG_GETRULE, marks.Table)
	if err != nil {
		return 0, err
	}
	h := fnv.New64a()
	for _, c := range chains {
		h.Write(nfnetlink.Value(c, unix.NFTA_CHAIN_NAME))
		h.Write(nfnetlink.Value(c, unix.NFTA_CHAIN_HOOK))
	}
	for _, r := range rules {
		h.Write(nfnetlink.Value(r, unix.NFTA_RULE_CHAIN))
		for _, element := range nfnetlink.Attributes(nfnetlink.Value(r, unix.NFTA_RULE_EXPRESSIONS)) {
			if unix.ByteSliceToString(nfnetlink.Value(element, unix.NFTA_EXPR_NAME)) != counter {
				h.Write(element)
			}
		}
		h.Write([]byte{0})
	}
	return h.Sum64(), nil
}

const counter = "counter"

// names are the names of the nftables table's chains.
func (t *Table) names() (all []string, err error) {
	c, err := converse()
	if err != nil {
		return nil, err
	}
	defer c.close()
	chains, err := t.dump(c, unix.NFT_MSG_GETCHAIN, marks.Table)
	for _, chain := range chains {
		all = append(all, chainName(chain))
	}
	return all, err
}

// dumps bounds how often a dump begins anew because somebody changed what is dumped.
const dumps = 20

// dump lists a table's chains or rules, each as its attributes: all, or those with more that they must have.
func (t *Table) dump(c *conversation, kind uint16, table string, more ...[]byte) (all [][]byte, err error) {
	// The name of the table is the first attribute of a chain and of a rule.
	attributes := append([][]byte{nfnetlink.Text(unix.NFTA_RULE_TABLE, table)}, more...)
	request := message(kind, unix.NLM_F_DUMP, t.family(), attributes...)
	for range dumps {
		all = nil
		err = c.list(request, func(_ uint8, of []byte) {
			if unix.ByteSliceToString(nfnetlink.Value(of, unix.NFTA_RULE_TABLE)) == table {
				all = append(all, of)
			}
		})
		if err != unix.EINTR {
			break
		}
	}
	if err != nil {
		return nil, fmt.Errorf("list the nftables table %s: %w", table, err)
	}
	return all, nil
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
