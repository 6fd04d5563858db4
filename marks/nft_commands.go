package marks

import (
	"slices"
	"strconv"
	"strings"
)

// NFTCommands formats the change as commands of nft(8), one per element, without the word nft. What replaces the content of
// a chain is one element, which nft(8) executes in one transaction. A rule of a kind that the backend does not have is left
// out: CheckNFT reports it.
func (c Change) NFTCommands(ipv6 bool) []string {
	w := nftWriter{ipv6: ipv6}
	w.add("add table inet " + NFTTable)
	for _, chain := range c.Chains {
		w.createChain(chain)
	}
	for _, chain := range c.Chains {
		w.fillChain(chain)
	}
	for _, base := range NFTBases {
		w.changeHooks(base, c.HooksOf(base))
	}
	for _, name := range c.Delete {
		w.deleteChain(name)
	}
	return w.commands
}

// nftWriter collects commands.
type nftWriter struct {
	ipv6     bool
	commands []string
}

// add adds the commands, which are executed in one transaction.
func (w *nftWriter) add(together ...string) {
	if len(together) > 0 {
		w.commands = append(w.commands, strings.Join(together, "; "))
	}
}

// object returns the words that name an object of the table.
func object(kind, name string) string { return kind + " inet " + NFTTable + " " + name }

// kindOf returns the kind of an object: chain or map.
func kindOf(chain string) string {
	if IsMap(chain) {
		return "map"
	}
	return "chain"
}

// createChain creates a chain or map that does not exist, and the counters of a chain.
func (w *nftWriter) createChain(c ChainChange) {
	name := object(kindOf(c.Name), NFTChain(c.Name, w.ipv6))
	switch {
	case !c.Create:
		return
	case IsMap(c.Name):
		size := ""
		if !IsMACMap(c.Name) {
			size = " size " + strconv.Itoa(MapSize) + ";"
		}
		w.add("add " + name + " { type " + nftKeyType(c.Name) + " : verdict;" + size + " }")
		return
	}
	w.add("add " + name)
	if id, counts := ParseCounterChain(c.Name); counts {
		symmetric, stray := NFTCounters(id, w.ipv6)
		w.add("add " + object("counter", symmetric))
		w.add("add " + object("counter", stray))
	}
}

// nftKeyType returns the type of a map's keys.
func nftKeyType(name string) string {
	switch {
	case IsLinkMap(name):
		return "ifname"
	case IsMACMap(name):
		return "ether_addr"
	}
	return "mark"
}

// fillChain adds the rules of a chain or the elements of a map, in place of those that an existing one has.
func (w *nftWriter) fillChain(c ChainChange) {
	content := w.content(c)
	if !c.Create {
		flush := "flush " + object(kindOf(c.Name), NFTChain(c.Name, w.ipv6))
		w.add(append([]string{flush}, content...)...)
		return
	}
	for _, command := range content {
		w.add(command)
	}
}

// content returns the commands that add the rules of a chain or the elements of a map.
func (w *nftWriter) content(c ChainChange) (commands []string) {
	name := NFTChain(c.Name, w.ipv6)
	if IsMap(c.Name) {
		var elements []string
		for _, r := range c.Rules {
			elements = append(elements, r.nftElement(w.ipv6))
		}
		if len(elements) > 0 {
			commands = append(commands, "add "+object("element", name)+" { "+strings.Join(elements, ", ")+" }")
		}
		return commands
	}
	for i, r := range c.Rules {
		text, err := r.NFT(w.ipv6)
		if err != nil {
			continue
		}
		if counter := CounterOf(c.Name, i, w.ipv6); counter != "" {
			text = strings.TrimSuffix(text, "return") + "counter name \"" + counter + "\" return"
		}
		commands = append(commands, "add "+object("rule", name)+" "+text)
	}
	return commands
}

// changeHooks replaces the hooks of the family, and makes the base chain if there is one to put in place.
func (w *nftWriter) changeHooks(b NFTBase, changes []HookChange) {
	if len(changes) == 0 {
		return
	}
	all := changes
	changes, gate := WithoutGates(all)
	chain := b.HookChain(w.ipv6)
	w.add("add " + object("chain", b.HookChain(false)))
	w.add("add " + object("chain", b.HookChain(true)))
	hooks := []string{"flush " + object("chain", chain)}
	for _, h := range changes {
		text, err := h.Hook.Rule.NFT(w.ipv6)
		if h.Insert && err == nil {
			hooks = append(hooks, "insert "+object("rule", chain)+" "+text)
		}
	}
	w.add(hooks...)
	if len(changes) < len(all) || slices.ContainsFunc(changes, func(h HookChange) bool { return h.Insert }) {
		w.makeBase(b, gate)
	}
}

// makeBase makes the base chain, with the gate if there is one. Then the chains of both families must exist.
func (w *nftWriter) makeBase(b NFTBase, gate *Rule) {
	var rules []string
	if gate.IsAlone() {
		chain, _ := b.Behind()
		w.add("add " + object("chain", NFTChain(chain, !w.ipv6)))
	}
	if gate != nil {
		text, _ := gate.NFT(w.ipv6)
		rules = append(rules, text)
	}
	for _, ipv6 := range []bool{false, true} {
		rules = append(rules, b.nft(ipv6, gate.IsAlone()))
	}
	base := []string{"add " + object("chain", b.Name()) + b.definition(), "flush " + object("chain", b.Name())}
	for _, r := range rules {
		base = append(base, "add "+object("rule", b.Name())+" "+r)
	}
	w.add(base...)
}

// deleteChain deletes a chain with its counters, or a map.
func (w *nftWriter) deleteChain(name string) {
	w.add("delete " + object(kindOf(name), NFTChain(name, w.ipv6)))
	if id, counts := ParseCounterChain(name); counts {
		symmetric, stray := NFTCounters(id, w.ipv6)
		w.add("delete " + object("counter", symmetric))
		w.add("delete " + object("counter", stray))
	}
}
