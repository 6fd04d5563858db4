package iptables

import (
	"context"
	"strings"

	"replypath/marks"
	"replypath/marks/foreign"
	"replypath/marks/netfilter"
)

// incompatibleMessage is part of the error of iptables for a chain that it cannot list.
const incompatibleMessage = "is incompatible"

// list returns the chains and hooks of replypath as the iptables command lists them. decoded is the kernel's form of
// the same table.
func (t *Table) list(ctx context.Context, decoded netfilter.Table) (marks.Ruleset, error) {
	chains, unreadable, err := t.listChains(ctx, decoded)
	if err != nil {
		return marks.Ruleset{}, err
	}
	r := marks.Ruleset{Chains: map[string]marks.ChainRules{}, Hooks: foreign.FindHooks(func(chain string) []string { return chains[chain] })}
	for name, lines := range chains {
		if strings.HasPrefix(name, marks.Prefix) {
			r.Chains[name] = marks.ChainRules{Rules: t.parseListing(name, lines)}
		}
	}
	for _, name := range unreadable {
		r.Chains[name] = marks.ChainRules{Unreadable: true}
	}
	for h, state := range r.Hooks {
		state.NativeNFT = decoded.NativeHook(h)
		r.Hooks[h] = state
	}
	return r, nil
}

// listChains returns the rules of the table's chains as iptables -S prints them, and the chains of replypath that
// iptables cannot list. A chain with rules that only nft(8) writes makes the listing of the table fail; the chains are
// then listed one by one.
func (t *Table) listChains(ctx context.Context, decoded netfilter.Table) (chains map[string][]string, unreadable []string, err error) {
	text, err := t.runIptables(ctx, "-S")
	if err == nil {
		return splitByChain(text), nil, nil
	}
	if !strings.Contains(err.Error(), incompatibleMessage) {
		return nil, nil, t.classify("list the chains", err)
	}
	all, err := t.nft().Chains()
	if err != nil {
		return nil, nil, t.classify("list the chains", err)
	}
	chains = map[string][]string{}
	for _, name := range netfilter.ChainNames(all) {
		if err := ctx.Err(); err != nil {
			return nil, nil, err
		}
		rules, err := t.listChain(ctx, name)
		switch {
		case err == nil:
			chains[name] = rules
		case strings.HasPrefix(name, marks.Prefix) && strings.Contains(err.Error(), incompatibleMessage):
			// nft(8) has loaded its own form of a saved chain of replypath.
			unreadable = append(unreadable, name)
		case strings.Contains(err.Error(), incompatibleMessage):
			chains[name] = decodedListing(name, decoded[name])
		case isRelevantChain(name):
			return nil, nil, t.classify("list chain "+name, err)
		}
	}
	return chains, unreadable, nil
}

// decodedListing formats a chain's rules as iptables -S would. Rules that it cannot decode have no options.
func decodedListing(chain string, rules []netfilter.ParsedRule) (lines []string) {
	for _, r := range rules {
		line := "-A " + chain
		if r.Complete {
			line += " " + r.String()
		}
		lines = append(lines, line)
	}
	return lines
}

// splitByChain groups the lines of a listing by chain.
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

// parseListing parses a chain's listing in the spelling of any version of iptables. A rule that replypath does not
// write becomes marks.Rule.Opaque.
func (t *Table) parseListing(chain string, lines []string) []marks.Rule {
	rules := []marks.Rule{}
	for _, line := range lines {
		text, ok := strings.CutPrefix(line, "-A "+chain)
		if !ok {
			continue
		}
		text = t.numericGroups(strings.TrimSpace(text))
		rule, err := marks.ParseRule(text)
		if err != nil {
			rule = marks.Rule{Opaque: text}
		}
		rules = append(rules, rule)
	}
	return rules
}
