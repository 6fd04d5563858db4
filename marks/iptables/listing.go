package iptables

import (
	"context"
	"strings"

	"replypath/marks"
	"replypath/marks/decoded"
)

// listContents has the iptables command list our chains and jumps, of a table that the kernel holds so.
func (t *Table) listContents(ctx context.Context, decodedTable decoded.Table) (Contents, error) {
	chains, err := t.listChains(ctx, decodedTable)
	if err != nil {
		return Contents{}, err
	}
	c := Contents{Chains: map[string]string{}, Hooks: marks.FindHooks(func(chain string) []string { return chains[chain] })}
	for name, rules := range chains {
		if strings.HasPrefix(name, marks.Prefix) {
			c.Chains[name] = t.normalize(name, rules)
		}
	}
	for h, state := range c.Hooks {
		state.NativeNFT = decodedTable.NativeHook(h)
		c.Hooks[h] = state
	}
	return c, nil
}

// listChains are the rules of the table's chains as iptables prints them. A table in which another tool keeps chains of a
// kind that iptables cannot print cannot be listed as a whole; each chain of the other kind can.
func (t *Table) listChains(ctx context.Context, decodedTable decoded.Table) (map[string][]string, error) {
	text, err := t.runIptables(ctx, "-S")
	if err == nil {
		return splitByChain(text), nil
	}
	if !strings.Contains(err.Error(), incompatibleMessage) {
		return nil, t.classify("list the chains", err)
	}
	names, err := t.chainNames()
	if err != nil {
		return nil, t.classify("list the chains", err)
	}
	chains := map[string][]string{}
	for _, name := range names {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		rules, err := t.listChain(ctx, name)
		switch {
		case err == nil:
			chains[name] = rules
		case strings.HasPrefix(name, marks.Prefix) && strings.Contains(err.Error(), incompatibleMessage):
			// Not as we wrote it: nft(8) has loaded what it saved of ours, and that has other rules.
			chains[name] = []string{"-A " + name + " " + marks.Unreadable}
		case strings.Contains(err.Error(), incompatibleMessage):
			chains[name] = decodedListing(name, decodedTable[name])
		case isRelevantChain(name):
			return nil, t.classify("list chain "+name, err)
		}
	}
	return chains, nil
}

// decodedListing are a chain's rules as iptables would print them, and shows those that it cannot read.
func decodedListing(chain string, rules []decoded.ParsedRule) (all []string) {
	for _, r := range rules {
		line := "-A " + chain
		if r.Complete {
			line += " " + r.String()
		}
		all = append(all, line)
	}
	return all
}

// incompatibleMessage is what iptables says of a chain that it cannot print.
const incompatibleMessage = "is incompatible"

// splitByChain sorts a listing by its chains.
func splitByChain(listing string) map[string][]string {
	chains := map[string][]string{}
	for line := range strings.Lines(listing) {
		line = strings.TrimSuffix(line, "\n")
		if words := strings.Fields(line); len(words) > 1 && strings.HasPrefix(line, "-") {
			chains[words[1]] = append(chains[words[1]], line)
		}
	}
	return chains
}

// normalize has the chain's rules in the spelling that we write, whatever this version of iptables prints; a rule that is
// none of ours stays as it was printed.
func (t *Table) normalize(chain string, lines []string) string {
	var b strings.Builder
	for _, line := range lines {
		rule, ok := strings.CutPrefix(line, "-A "+chain)
		if !ok {
			continue
		}
		rule = t.numericGroups(strings.TrimSpace(rule))
		if r, err := marks.ParseRule(rule); err == nil {
			rule = r.String()
		}
		b.WriteString(rule + "\n")
	}
	return b.String()
}
