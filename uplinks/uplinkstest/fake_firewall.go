package uplinkstest

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"replypath/marks"
	"replypath/marks/foreign"
	"replypath/uplinks"
)

// table is a mangle table: the rules of each chain, in order, as iptables prints them.
type table map[string][]string

// newTable returns a table with empty built-in chains.
func newTable() table {
	t := table{}
	for _, h := range marks.Hooks {
		t[h.Builtin] = nil
	}
	return t
}

// runIptables runs the commands on the tool's table: all of them, or none if one fails.
func (k *Fake) runIptables(firewall uplinks.FirewallKey, commands []string) error {
	next := table{}
	for chain, rules := range k.tables[firewall] {
		next[chain] = slices.Clone(rules)
	}
	for _, c := range commands {
		if err := next.run(c); err != nil {
			return fmt.Errorf("%s: %q: %w", firewall.Command, c, err)
		}
	}
	k.tables[firewall] = next
	return nil
}

// run runs one iptables command. -N and -F both leave an empty chain, as the declaration of a chain in a restore does.
func (t table) run(command string) error {
	option, rest, _ := strings.Cut(command, " ")
	chain, rule, _ := strings.Cut(rest, " ")
	if option == "-N" || option == "-F" {
		t[chain] = nil
		return nil
	}
	if _, exists := t[chain]; !exists {
		return fmt.Errorf("no chain %s", chain)
	}
	switch option {
	case "-A":
		t[chain] = append(t[chain], rule)
		return t.checkJump(rule)
	case "-I":
		number, rule, _ := strings.Cut(rule, " ")
		at, err := strconv.Atoi(number)
		if err != nil || at < 1 || at > len(t[chain])+1 {
			return fmt.Errorf("index of insertion %s of %d rules", number, len(t[chain]))
		}
		t[chain] = slices.Insert(t[chain], at-1, rule)
		return t.checkJump(rule)
	case "-D":
		at := slices.Index(t[chain], rule)
		if at < 0 {
			return fmt.Errorf("no such rule")
		}
		t[chain] = slices.Delete(t[chain], at, at+1)
		return nil
	case "-X":
		return t.drop(chain)
	}
	return fmt.Errorf("no such command")
}

// checkJump returns an error for a jump to a chain that does not exist.
func (t table) checkJump(rule string) error {
	words := strings.Fields(rule)
	at := slices.IndexFunc(words, func(w string) bool { return w == "-j" || w == "-g" })
	if at < 0 || at+1 == len(words) || !strings.HasPrefix(words[at+1], marks.Prefix) {
		return nil
	}
	if _, exists := t[words[at+1]]; !exists {
		return fmt.Errorf("no chain %s", words[at+1])
	}
	return nil
}

// drop deletes a chain that is empty and that no rule jumps to.
func (t table) drop(chain string) error {
	if len(t[chain]) > 0 {
		return fmt.Errorf("directory not empty")
	}
	for _, rules := range t {
		if slices.ContainsFunc(rules, func(r string) bool { return strings.HasSuffix(r, "-j "+chain) || strings.HasSuffix(r, "-g "+chain) }) {
			return fmt.Errorf("too many links")
		}
	}
	delete(t, chain)
	return nil
}

// observe adds the chains and hooks of replypath to the state.
func (t table) observe(firewall uplinks.FirewallKey, have uplinks.State) {
	for chain, lines := range t {
		if strings.HasPrefix(chain, marks.Prefix) {
			have.Chains[uplinks.ChainKey{Firewall: firewall, Name: chain}] = marks.ChainRules{Rules: parse(lines)}
		}
	}
	for h, state := range foreign.FindHooks(t.list) {
		have.Hooks[uplinks.HookKey{Firewall: firewall, Hook: h}] = state
	}
}

func parse(lines []string) []marks.Rule {
	rules := make([]marks.Rule, len(lines))
	for i, line := range lines {
		var err error
		if rules[i], err = marks.ParseRule(line); err != nil {
			rules[i] = marks.Rule{Opaque: line}
		}
	}
	return rules
}

// list lists a chain as iptables -S does.
func (t table) list(chain string) []string {
	rules, exists := t[chain]
	if !exists {
		return nil
	}
	lines := []string{"-N " + chain}
	for _, rule := range rules {
		lines = append(lines, strings.TrimSpace("-A "+chain+" "+rule))
	}
	return lines
}

// foreign lists the rules that replypath does not own.
func (t table) foreign() (lines []string) {
	for _, chain := range slices.Sorted(maps.Keys(t)) {
		for _, line := range t.list(chain)[1:] {
			if !strings.Contains(line, marks.Prefix) {
				lines = append(lines, line)
			}
		}
	}
	return lines
}

// MoveMark deletes the rules: the kernel in memory has no connections.
func (w *fakeWriter) MoveMark(s uplinks.MoveMark) {
	for _, r := range s.Rules {
		w.k.delRule(r)
	}
}
