package netfilter

import (
	"errors"
	"fmt"
	"hash/fnv"
	"slices"

	"replypath/marks/nlattr"

	"golang.org/x/sys/unix"
)

// NFTTable names a table of nftables.
type NFTTable struct {
	Family uint8 // unix.NFPROTO_IPV4, unix.NFPROTO_IPV6, ...
	Name   string
}

// Dump is the content of a table of nftables: the attributes of its chains (NFTA_CHAIN_*) and rules (NFTA_RULE_*).
type Dump struct {
	Family        uint8 // of the table
	Chains, Rules [][]byte
}

// Dump reads the table's chains, and the rules of those chains that wanted selects by name: other programs may have
// thousands. It is not atomic: objects that change meanwhile may be missing. See Generation.
func (t NFTTable) Dump(wanted func(chain string) bool) (d Dump, err error) {
	s, err := openDumpSocket()
	if err != nil {
		return d, err
	}
	defer s.close()
	d.Family = t.Family
	if d.Chains, err = t.list(s, unix.NFT_MSG_GETCHAIN); err != nil {
		return d, err
	}
	var names []string
	for _, chain := range d.Chains {
		if name := FindString(chain, unix.NFTA_CHAIN_NAME); wanted(name) {
			names = append(names, name)
		}
	}
	if others := len(d.Chains) - len(names); len(names) > max(maxListedChains, others) {
		d.Rules, err = t.list(s, unix.NFT_MSG_GETRULE)
		d.Rules = slices.DeleteFunc(d.Rules, func(rule []byte) bool { return !wanted(FindString(rule, unix.NFTA_RULE_CHAIN)) })
		return d, err
	}
	for _, name := range names {
		rules, err := t.list(s, unix.NFT_MSG_GETRULE, StringAttribute(unix.NFTA_RULE_CHAIN, name))
		if err != nil {
			return d, err
		}
		d.Rules = append(d.Rules, rules...)
	}
	return d, nil
}

// maxListedChains is the number of chains whose rules are listed one by one. The rules of more are listed with those of all chains of the
// table, in the same order, unless most of those are of other programs.
const maxListedChains = 16

// RulePackets returns the packet counts of the rules of each chain that wanted selects by name, in order. Rules without a counter are
// left out. It keeps nothing of the other rules.
func (t NFTTable) RulePackets(wanted func(chain string) bool) (packets map[string][]uint64, err error) {
	s, err := openDumpSocket()
	if err != nil {
		return nil, err
	}
	defer s.close()
	s.transient = true
	query := request(unix.NFT_MSG_GETRULE, unix.NLM_F_DUMP, t.Family, StringAttribute(unix.NFTA_RULE_TABLE, t.Name))
	var chain string // of the last rule: the rules of a chain come one after the other
	err = s.dumpComplete(query, func() { packets = map[string][]uint64{} }, func(_ uint8, rule []byte) {
		if !HasString(rule, unix.NFTA_RULE_TABLE, t.Name) {
			return
		}
		if !HasString(rule, unix.NFTA_RULE_CHAIN, chain) {
			chain = FindString(rule, unix.NFTA_RULE_CHAIN)
		}
		if wanted(chain) {
			addPackets(packets, chain, rule)
		}
	})
	if err != nil {
		return nil, fmt.Errorf("list the rules of the nftables table %s: %w", t.Name, err)
	}
	return packets, nil
}

func addPackets(packets map[string][]uint64, chain string, rule []byte) {
	for name, data := range Expressions(rule) {
		if n := nlattr.Find(data, unix.NFTA_COUNTER_PACKETS); name == CounterExpression && len(n) == 8 {
			packets[chain] = append(packets[chain], n.BigEndian())
		}
	}
}

// Chains reads the attributes of the table's chains (NFTA_CHAIN_*).
func (t NFTTable) Chains() ([][]byte, error) {
	s, err := openDumpSocket()
	if err != nil {
		return nil, err
	}
	defer s.close()
	return t.list(s, unix.NFT_MSG_GETCHAIN)
}

// list dumps the table's chains or rules, optionally restricted by further attributes.
func (t NFTTable) list(s *dumpSocket, kind uint16, filter ...[]byte) (all [][]byte, err error) {
	// NFTA_RULE_TABLE and NFTA_CHAIN_TABLE have the same number.
	attributes := append([][]byte{StringAttribute(unix.NFTA_RULE_TABLE, t.Name)}, filter...)
	err = s.dumpComplete(request(kind, unix.NLM_F_DUMP, t.Family, attributes...), func() { all = nil }, func(_ uint8, object []byte) {
		if HasString(object, unix.NFTA_RULE_TABLE, t.Name) {
			all = append(all, object)
		}
	})
	if err != nil {
		return nil, fmt.Errorf("list the nftables table %s: %w", t.Name, err)
	}
	return all, nil
}

// Digest returns a hash over all chains and rules of the table without their counters. Most changes to nftables are
// made in other tables; the digest recognizes them without a process.
func (t NFTTable) Digest() (uint64, error) {
	s, err := openDumpSocket()
	if err != nil {
		return 0, err
	}
	defer s.close()
	chains, err := t.list(s, unix.NFT_MSG_GETCHAIN)
	if err != nil {
		return 0, err
	}
	rules, err := t.list(s, unix.NFT_MSG_GETRULE)
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
			if !HasString(element, unix.NFTA_EXPR_NAME, CounterExpression) {
				h.Write(element)
			}
		}
		h.Write([]byte{0})
	}
	return h.Sum64(), nil
}

// Exists reports whether the kernel has the table.
func (t NFTTable) Exists() (bool, error) {
	_, err := requestReply(request(unix.NFT_MSG_GETTABLE, unix.NLM_F_ACK, t.Family, StringAttribute(unix.NFTA_TABLE_NAME, t.Name)))
	if errors.Is(err, unix.ENOENT) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("look for the nftables table %s: %w", t.Name, err)
	}
	return true, nil
}

// DeleteEmpty deletes those of the base chains that have no rules, and the table if it is empty then. The kernel
// refuses to delete what has content (NLM_F_NONREC); that is no error.
func (t NFTTable) DeleteEmpty(chains ...string) error {
	for _, chain := range chains {
		del := request(unix.NFT_MSG_DELCHAIN, unix.NLM_F_ACK|unix.NLM_F_NONREC, t.Family,
			StringAttribute(unix.NFTA_CHAIN_TABLE, t.Name), StringAttribute(unix.NFTA_CHAIN_NAME, chain))
		if err := transaction(del); err != nil && !isInUseOrGone(err) {
			return fmt.Errorf("delete the empty base chain %s: %w", chain, err)
		}
	}
	del := request(unix.NFT_MSG_DELTABLE, unix.NLM_F_ACK|unix.NLM_F_NONREC, t.Family, StringAttribute(unix.NFTA_TABLE_NAME, t.Name))
	if err := transaction(del); err != nil && !isInUseOrGone(err) {
		return fmt.Errorf("delete the empty table %s: %w", t.Name, err)
	}
	return nil
}

func isInUseOrGone(err error) bool {
	return errors.Is(err, unix.EBUSY) || errors.Is(err, unix.ENOENT)
}

// DeleteRule deletes the rule of a chain with this handle. A rule that does not exist is no error.
func (t NFTTable) DeleteRule(chain string, handle uint64) error {
	del := request(unix.NFT_MSG_DELRULE, unix.NLM_F_ACK, t.Family, StringAttribute(unix.NFTA_RULE_TABLE, t.Name),
		StringAttribute(unix.NFTA_RULE_CHAIN, chain), Uint64Attribute(unix.NFTA_RULE_HANDLE, handle))
	if err := transaction(del); err != nil && !errors.Is(err, unix.ENOENT) {
		return fmt.Errorf("delete rule %d of %s: %w", handle, chain, err)
	}
	return nil
}

// ChainNames returns the names of chains, given their attributes.
func ChainNames(chains [][]byte) []string {
	names := make([]string, len(chains))
	for i, c := range chains {
		names[i] = FindString(c, unix.NFTA_CHAIN_NAME)
	}
	return names
}
