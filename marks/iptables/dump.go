package iptables

import (
	"fmt"
	"hash/fnv"
	"iter"
	"strings"

	"replypath/marks"
	"replypath/marks/nfnetlink"
	"replypath/marks/nlattr"

	"golang.org/x/sys/unix"
)

// nftTable is a table of nftables as the kernel holds it: its chains and its rules, each as its attributes.
type nftTable struct{ chains, rules [][]byte }

// readNFT reads the table, of its rules those in our chains and in the built-in ones that ours are reached from: others may
// have thousands. What changes meanwhile may be there in part.
func (t *Table) readNFT() (table nftTable, err error) {
	c, err := openDumpSocket()
	if err != nil {
		return table, err
	}
	defer c.close()
	if table.chains, err = t.dump(c, unix.NFT_MSG_GETCHAIN, marks.MangleTable); err != nil {
		return table, err
	}
	for _, chain := range table.chains {
		name := chainName(chain)
		if !isRelevantChain(name) {
			continue
		}
		rules, err := t.dump(c, unix.NFT_MSG_GETRULE, marks.MangleTable, nfnetlink.StringAttribute(unix.NFTA_RULE_CHAIN, name))
		if err != nil {
			return table, err
		}
		table.rules = append(table.rules, rules...)
	}
	return table, nil
}

// isRelevantChain reports whether the rules of a chain of mangle are read.
func isRelevantChain(chain string) bool {
	return strings.HasPrefix(chain, marks.Prefix) || marks.IsHookChain(chain)
}

func chainName(chain []byte) string {
	return unix.ByteSliceToString(nlattr.Find(chain, unix.NFTA_CHAIN_NAME))
}

// digest sums up what all of the nftables table holds but for its counters. Most changes to nftables are made in other
// tables, and are not worth a process.
func (t *Table) digest() (uint64, error) {
	c, err := openDumpSocket()
	if err != nil {
		return 0, err
	}
	defer c.close()
	chains, err := t.dump(c, unix.NFT_MSG_GETCHAIN, marks.MangleTable)
	if err != nil {
		return 0, err
	}
	rules, err := t.dump(c, unix.NFT_MSG_GETRULE, marks.MangleTable)
	if err != nil {
		return 0, err
	}
	h := fnv.New64a()
	for _, c := range chains {
		h.Write(nlattr.Find(c, unix.NFTA_CHAIN_NAME))
		h.Write(nlattr.Find(c, unix.NFTA_CHAIN_HOOK))
	}
	for _, r := range rules {
		h.Write(nlattr.Find(r, unix.NFTA_RULE_CHAIN))
		for _, element := range nlattr.All(nlattr.Find(r, unix.NFTA_RULE_EXPRESSIONS)) {
			if unix.ByteSliceToString(nlattr.Find(element, unix.NFTA_EXPR_NAME)) != counter {
				h.Write(element)
			}
		}
		h.Write([]byte{0})
	}
	return h.Sum64(), nil
}

const counter = "counter"

// chainNames are the names of the nftables table's chains.
func (t *Table) chainNames() (all []string, err error) {
	c, err := openDumpSocket()
	if err != nil {
		return nil, err
	}
	defer c.close()
	chains, err := t.dump(c, unix.NFT_MSG_GETCHAIN, marks.MangleTable)
	for _, chain := range chains {
		all = append(all, chainName(chain))
	}
	return all, err
}

// maxDumpAttempts bounds how often a dump begins anew because somebody changed what is dumped.
const maxDumpAttempts = 20

// dump lists a table's chains or rules, each as its attributes: all, or those with more that they must have.
func (t *Table) dump(c *dumpSocket, kind uint16, table string, more ...[]byte) (all [][]byte, err error) {
	// The name of the table is the first attribute of a chain and of a rule.
	attributes := append([][]byte{nfnetlink.StringAttribute(unix.NFTA_RULE_TABLE, table)}, more...)
	request := message(kind, unix.NLM_F_DUMP, t.family(), attributes...)
	for range maxDumpAttempts {
		all = nil
		err = c.dump(request, func(_ uint8, of []byte) {
			if unix.ByteSliceToString(nlattr.Find(of, unix.NFTA_RULE_TABLE)) == table {
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
		for _, element := range nlattr.All(nlattr.Find(rule, unix.NFTA_RULE_EXPRESSIONS)) {
			if !yield(unix.ByteSliceToString(nlattr.Find(element, unix.NFTA_EXPR_NAME)), nlattr.Find(element, unix.NFTA_EXPR_DATA)) {
				return
			}
		}
	}
}
