package uplinkstest

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"replypath/marks"
	"replypath/uplinks"
)

// table is a mangle table: the rules of each chain, in order.
type table map[string][]string

func newTable() table {
	t := table{}
	for _, h := range marks.Hooks {
		t[h.Builtin] = nil
	}
	return t
}

// load does all of the text or nothing.
func (k *Fake) load(s uplinks.LoadChains) error {
	next := table{}
	for chain, rules := range k.tables[s.Tool] {
		next[chain] = slices.Clone(rules)
	}
	body, ok := strings.CutPrefix(s.Text, "*"+marks.MangleTable+"\n")
	if !ok {
		return fmt.Errorf("%s: no table", s.Tool.Command)
	}
	for line := range strings.Lines(body) {
		line = strings.TrimSpace(line)
		if line == "COMMIT" {
			k.tables[s.Tool] = next
			return nil
		}
		if err := next.apply(line); err != nil {
			return fmt.Errorf("%s: %q: %w", s.Tool.Command, line, err)
		}
	}
	return fmt.Errorf("%s: no COMMIT", s.Tool.Command)
}

func (t table) apply(line string) error {
	if chain, ok := strings.CutPrefix(line, ":"); ok {
		t[strings.Fields(chain)[0]] = nil
		return nil
	}
	verb, rest, _ := strings.Cut(line, " ")
	chain, rule, _ := strings.Cut(rest, " ")
	if _, exists := t[chain]; !exists {
		return fmt.Errorf("no chain %s", chain)
	}
	switch verb {
	case "-A":
		t[chain] = append(t[chain], rule)
		return t.checkJump(rule)
	case "-I":
		rule = strings.TrimPrefix(rule, "1 ")
		t[chain] = slices.Insert(t[chain], 0, rule)
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

// checkJump refuses a jump to a chain that is not there.
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

// observe notes what is ours, in the spelling that we write.
func (t table) observe(tool uplinks.Tool, have uplinks.State) {
	for chain, rules := range t {
		if strings.HasPrefix(chain, marks.Prefix) {
			have.Chains[uplinks.ChainKey{Tool: tool, Name: chain}] = rulesText(rules)
		}
	}
	for h, standing := range marks.FindHooks(t.list) {
		have.Hooks[uplinks.HookKey{Tool: tool, Hook: h}] = standing
	}
}

func rulesText(rules []string) string {
	var b strings.Builder
	for _, rule := range rules {
		if r, err := marks.ParseRule(rule); err == nil {
			rule = r.String()
		}
		b.WriteString(rule + "\n")
	}
	return b.String()
}

// list prints a chain as iptables -S does.
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

// foreign prints what is not ours.
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
