package xtables

import (
	"context"
	"strings"

	"replypath/marks"
	"replypath/marks/decoded"
)

// list has the iptables command list our chains and jumps, of a table that the kernel holds so.
func (t *Table) list(ctx context.Context, held decoded.Table) (Contents, error) {
	chains, err := t.chains(ctx, held)
	if err != nil {
		return Contents{}, err
	}
	c := Contents{Chains: map[string]string{}, Hooks: marks.FindHooks(func(chain string) []string { return chains[chain] })}
	for name, rules := range chains {
		if strings.HasPrefix(name, marks.Prefix) {
			c.Chains[name] = t.printed(name, rules)
		}
	}
	for h, standing := range c.Hooks {
		standing.Native = held.Native(h)
		c.Hooks[h] = standing
	}
	return c, nil
}

// chains are the rules of the table's chains as iptables prints them. A table in which another tool keeps chains of a
// kind that iptables cannot print cannot be listed as a whole; each chain of the other kind can.
func (t *Table) chains(ctx context.Context, held decoded.Table) (map[string][]string, error) {
	text, err := t.say(ctx, "-S")
	if err == nil {
		return parted(text), nil
	}
	if !strings.Contains(err.Error(), incompatible) {
		return nil, t.explain("list the chains", err)
	}
	names, err := t.names()
	if err != nil {
		return nil, t.explain("list the chains", err)
	}
	chains := map[string][]string{}
	for _, name := range names {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		rules, err := t.chain(ctx, name)
		switch {
		case err == nil:
			chains[name] = rules
		case strings.HasPrefix(name, marks.Prefix) && strings.Contains(err.Error(), incompatible):
			// Not as we wrote it: nft(8) has loaded what it saved of ours, and that has other rules.
			chains[name] = []string{"-A " + name + " " + marks.Unreadable}
		case strings.Contains(err.Error(), incompatible):
			chains[name] = lines(name, held[name])
		case read(name):
			return nil, t.explain("list chain "+name, err)
		}
	}
	return chains, nil
}

// lines are a chain's rules as iptables would print them, and shows those that it cannot read.
func lines(chain string, rules []decoded.Rule) (all []string) {
	for _, r := range rules {
		line := "-A " + chain
		if r.Whole {
			line += " " + r.String()
		}
		all = append(all, line)
	}
	return all
}

// incompatible is what iptables says of a chain that it cannot print.
const incompatible = "is incompatible"

// parted sorts a listing by its chains.
func parted(listing string) map[string][]string {
	chains := map[string][]string{}
	for line := range strings.Lines(listing) {
		line = strings.TrimSuffix(line, "\n")
		if words := strings.Fields(line); len(words) > 1 && strings.HasPrefix(line, "-") {
			chains[words[1]] = append(chains[words[1]], line)
		}
	}
	return chains
}

// printed has the chain's rules in the spelling that we write, whatever this version of iptables prints; a rule that is
// none of ours stays as it was printed.
func (t *Table) printed(chain string, lines []string) string {
	var b strings.Builder
	for _, line := range lines {
		rule, ok := strings.CutPrefix(line, "-A "+chain)
		if !ok {
			continue
		}
		rule = t.numberGroups(strings.TrimSpace(rule))
		if r, err := marks.Parse(rule); err == nil {
			rule = r.String()
		}
		b.WriteString(rule + "\n")
	}
	return b.String()
}
