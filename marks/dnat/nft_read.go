package dnat

import (
	"encoding/binary"

	"replypath/marks/netfilter"
	"replypath/marks/nlattr"

	"golang.org/x/sys/unix"
)

// nftTable identifies a table of nftables: its family (NFPROTO_*) and name.
type nftTable struct {
	family uint8
	name   string
}

// Attributes and flags that golang.org/x/sys does not have (linux/netfilter/nf_tables.h).
const (
	nftMsgGetSet    = 0xa
	setElemKeyEnd   = 10 // NFTA_SET_ELEM_KEY_END
	setElemCatchall = 2  // NFT_SET_ELEM_CATCHALL
	setDescConcat   = 2  // NFTA_SET_DESC_CONCAT
	setFieldLen     = 1  // NFTA_SET_FIELD_LEN
	policyDrop      = 0  // NF_DROP as NFTA_CHAIN_POLICY
)

// printedChain is the base chain of iptables for destination NAT: a chain of another name in the same table is not printed.
const printedChain = "PREROUTING"

// readNFT returns the base chains of NAT at PREROUTING in the tables of nftables, apart from those that are read already.
func readNFT(printed map[nftTable]bool) (hooks []hook, err error) {
	chains, err := netfilter.Objects(unix.NFT_MSG_GETCHAIN)
	if err != nil {
		return nil, err
	}
	tables := map[nftTable]*nftChains{}
	for _, c := range chains {
		t := nftTable{c.Family, netfilter.FindString(c.Attributes, unix.NFTA_CHAIN_TABLE)}
		if h, is := natHook(c); is && !(printed[t] && h.chain == printedChain) {
			if tables[t] == nil {
				tables[t] = &nftChains{table: t, chains: map[string][]rule{}}
			}
			h.chains = tables[t].chains
			tables[t].hooks = append(tables[t].hooks, h.chain)
			hooks = append(hooks, h)
		}
	}
	if len(hooks) == 0 {
		return nil, nil
	}
	if err := deleteDormant(tables); err != nil {
		return nil, err
	}
	for _, c := range chains {
		if t, is := tables[nftTable{c.Family, netfilter.FindString(c.Attributes, unix.NFTA_CHAIN_TABLE)}]; is {
			t.chains[netfilter.FindString(c.Attributes, unix.NFTA_CHAIN_NAME)] = nil
		}
	}
	if err := readNFTRules(tables); err != nil {
		return nil, err
	}
	for _, t := range tables {
		for _, h := range t.hooks {
			if err := t.readReached(h, map[string]bool{}); err != nil {
				return nil, err
			}
		}
	}
	return hooks, nil
}

// nftChains are the chains of a table, and those of its sets that rules refer to.
type nftChains struct {
	table  nftTable
	hooks  []string // the base chains
	chains map[string][]rule
	sets   map[string]*nftSet
}

// natHook returns a base chain that translates destinations in PREROUTING.
func natHook(c netfilter.Object) (h hook, is bool) {
	at := nlattr.Find(c.Attributes, unix.NFTA_CHAIN_HOOK)
	if !netfilter.HasString(c.Attributes, unix.NFTA_CHAIN_TYPE, "nat") || netfilter.FindUint32(at, unix.NFTA_HOOK_HOOKNUM) != unix.NF_INET_PRE_ROUTING {
		return h, false
	}
	priority := nlattr.Find(at, unix.NFTA_HOOK_PRIORITY)
	if at == nil || len(priority) != 4 {
		return h, false
	}
	h = hook{ipv4: c.Family != unix.NFPROTO_IPV6, ipv6: c.Family != unix.NFPROTO_IPV4, priority: int32(binary.BigEndian.Uint32(priority)),
		chain: netfilter.FindString(c.Attributes, unix.NFTA_CHAIN_NAME)}
	policy := nlattr.Find(c.Attributes, unix.NFTA_CHAIN_POLICY)
	h.drops = len(policy) == 4 && policy.BigEndian() == policyDrop
	return h, true
}

// deleteDormant removes the chains of tables that are switched off.
func deleteDormant(tables map[nftTable]*nftChains) error {
	objects, err := netfilter.Objects(unix.NFT_MSG_GETTABLE)
	if err != nil {
		return err
	}
	for _, o := range objects {
		t := nftTable{o.Family, netfilter.FindString(o.Attributes, unix.NFTA_TABLE_NAME)}
		if netfilter.FindUint32(o.Attributes, unix.NFTA_TABLE_FLAGS)&unix.NFT_TABLE_F_DORMANT != 0 {
			delete(tables, t) // its hooks keep a map without chains
		}
	}
	return nil
}

// readNFTRules reads the rules of the tables, and the sets without their elements.
func readNFTRules(tables map[nftTable]*nftChains) error {
	objects, err := netfilter.Objects(unix.NFT_MSG_GETRULE)
	if err != nil {
		return err
	}
	sets, err := netfilter.Objects(nftMsgGetSet)
	if err != nil {
		return err
	}
	for _, t := range tables {
		t.sets = map[string]*nftSet{}
	}
	for _, s := range sets {
		if t, is := tables[nftTable{s.Family, netfilter.FindString(s.Attributes, unix.NFTA_SET_TABLE)}]; is {
			t.sets[netfilter.FindString(s.Attributes, unix.NFTA_SET_NAME)] = newSet(s.Attributes)
		}
	}
	for _, o := range objects {
		t, is := tables[nftTable{o.Family, netfilter.FindString(o.Attributes, unix.NFTA_RULE_TABLE)}]
		if !is {
			continue
		}
		r := &nftRule{sets: t.sets}
		for name, data := range netfilter.Expressions(o.Attributes) {
			r.expressions = append(r.expressions, expression{name, data})
		}
		chain := netfilter.FindString(o.Attributes, unix.NFTA_RULE_CHAIN)
		t.chains[chain] = append(t.chains[chain], r)
	}
	return nil
}

// readReached reads the elements of those sets that the rules of the chain refer to, and those of the chains that it leads to. A
// table may have large sets that no chain of NAT uses.
func (t *nftChains) readReached(chain string, seen map[string]bool) error {
	if seen[chain] {
		return nil
	}
	seen[chain] = true
	for _, r := range t.chains[chain] {
		for _, e := range r.(*nftRule).expressions {
			verdicts, err := t.verdictsOf(e)
			if err != nil {
				return err
			}
			for _, v := range verdicts {
				if to := netfilter.FindString(v, unix.NFTA_VERDICT_CHAIN); to != "" {
					if err := t.readReached(to, seen); err != nil {
						return err
					}
				}
			}
		}
	}
	return nil
}

// verdictsOf returns the verdicts that an expression may have (NFTA_VERDICT_*), and reads the set that it refers to.
func (t *nftChains) verdictsOf(e expression) (verdicts [][]byte, err error) {
	switch e.name {
	case "immediate":
		return [][]byte{nlattr.Find(nlattr.Find(e.data, unix.NFTA_IMMEDIATE_DATA), unix.NFTA_DATA_VERDICT)}, nil
	case "lookup":
		name := netfilter.FindString(e.data, unix.NFTA_LOOKUP_SET)
		if err := t.readElements(name); err != nil || t.sets[name] == nil {
			return nil, err
		}
		for _, element := range t.sets[name].elements {
			verdicts = append(verdicts, element.verdict)
		}
		if all := t.sets[name].catchall; all != nil {
			verdicts = append(verdicts, all.verdict)
		}
	}
	return verdicts, nil
}

// readElements reads the elements of a set once. A set that is deleted meanwhile stays unknown.
func (t *nftChains) readElements(name string) error {
	s := t.sets[name]
	if s == nil || s.known {
		return nil
	}
	elements, err := netfilter.SetElements(t.table.family, t.table.name, name)
	if err != nil {
		return err
	}
	s.setElements(elements)
	return nil
}
