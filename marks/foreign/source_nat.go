package foreign

import (
	"cmp"
	"slices"
	"strings"
)

// natStep is a rule on the paths of packets to rules that translate sources.
type natStep struct {
	rule  *Rule
	text  string   // its selectors and its verdict
	to    []string // the locations of the chains that it jumps or goes to
	ends  bool     // it takes packets out of its chain: return, accept
	whole bool     // it selects nothing
}

// chainPath is how packets come to a chain.
type chainPath struct{ via, out string }

// followNAT records, of rules that translate sources, by which rules packets come to them from POSTROUTING, and the link that those
// select. Where several paths lead there, it is the one with the fewest selectors by marks and destinations.
func followNAT(steps []natStep) {
	paths := map[string]chainPath{}
	for changed := true; changed; {
		changed = false
		kept := map[string]string{} // by location: what has not left the chain so far
		for _, s := range steps {
			path, reached := paths[s.rule.Location]
			if !reached && s.rule.Hook != postrouting || kept[s.rule.Location] == nothingKept {
				continue
			}
			path.via = joinVia(path.via, kept[s.rule.Location])
			switch {
			case s.ends && s.whole:
				kept[s.rule.Location] = nothingKept
			case s.ends && (strings.Contains(s.text, "! -") || strings.Contains(s.text, "!=")):
				kept[s.rule.Location] = joinVia(kept[s.rule.Location], s.text)
			case s.rule.TranslatesSource:
				s.rule.Via, s.rule.Out = path.via, cmp.Or(s.rule.Out, path.out)
			}
			for _, to := range s.to {
				next := chainPath{joinVia(path.via, s.text), cmp.Or(s.rule.Out, path.out)}
				if old, known := paths[to]; known {
					next = old.merge(next)
				}
				changed = changed || paths[to] != next
				paths[to] = next
			}
		}
	}
}

const (
	postrouting = "POSTROUTING"
	nothingKept = "-"
)

func joinVia(texts ...string) string {
	return strings.Join(slices.DeleteFunc(texts, func(t string) bool { return t == "" }), ", ")
}

// merge returns the more general one of two paths to a chain. If they lead there from different links, it is for all.
func (p chainPath) merge(other chainPath) chainPath {
	if selectsByMarkOrDestination(p.via) && !selectsByMarkOrDestination(other.via) {
		p.via = other.via
	}
	if p.out != other.out {
		p.out = ""
	}
	return p
}

// selectsByMarkOrDestination reports whether rules select by marks or destinations.
func selectsByMarkOrDestination(text string) bool {
	return strings.Contains(text, "mark") || strings.Contains(text, "daddr") || strings.Contains(text, " -d ")
}

// savedNAT returns the rules of the table nat as iptables-save prints them.
func savedNAT(rules []Rule) (steps []natStep) {
	for i := range rules {
		r := &rules[i]
		if !strings.HasPrefix(r.Location, "nat ") {
			continue
		}
		words := strings.Fields(quotedText.ReplaceAllString(r.Text, "-"))
		target := targetOf(words)
		steps = append(steps, natStep{r, r.Text, []string{strings.TrimSuffix(r.Location, r.Chain) + target}, target == "RETURN" || target == "ACCEPT", len(words) == 4})
	}
	return steps
}

// nftNAT returns the rules of nftables.
func nftNAT(rules []chainRule) (steps []natStep) {
	for i := range rules {
		r := &rules[i]
		s := natStep{rule: &r.rule, text: r.Text, whole: r.Text == "return" || r.Text == "accept"}
		s.ends = s.whole || strings.HasSuffix(r.Text, " return") || strings.HasSuffix(r.Text, " accept")
		for _, j := range r.jumps(nil) {
			s.to = append(s.to, r.beside(j.chain))
		}
		steps = append(steps, s)
	}
	return steps
}

// setHooks records the hooks of base chains in their rules.
func setHooks(rules []chainRule, hooks map[string]string) {
	for i := range rules {
		rules[i].rule.Hook = hooks[rules[i].rule.Location]
	}
}
