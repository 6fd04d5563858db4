package doctor

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"replypath/marks"
	"replypath/marks/foreign"
	"replypath/uplinks"
)

// wholeMark matches the argument of a target that writes all bits of the mark, as iptables-save prints it.
var wholeMark = regexp.MustCompile(`(--set-xmark|--tproxy-mark) (0x[0-9a-f]+)/0xffffffff`)

// checkWipedMarks reports rules of transparent proxies that overwrite the whole mark of packets, that of their uplink too.
func (s Snapshot) checkWipedMarks() (all []Finding) {
	byCommand := map[string]int{}
	for i, f := range s.Firewall {
		line, wipes := s.wipesMark(i)
		if !wipes {
			continue
		}
		command := strings.TrimSuffix(f.Tool, "-save")
		at, known := byCommand[command]
		if !known {
			at = len(all)
			byCommand[command] = at
			all = append(all, Finding{ID: "mark-wiped", Severity: Error, Remedy: "write the proxy's bit alone, by the commands below",
				Message: "rules of " + command + " for a transparent proxy overwrite the whole mark of packets, and with it that of their uplink: the source check and the answers of connections go by another uplink"})
		}
		all[at].Evidence = append(all[at].Evidence, firewallRuleText(f))
		if line != "" {
			all[at].Commands = append(all[at].Commands, line)
		} else {
			all[at].Remedy = "write the proxy's bit alone: replypath apply, and then the commands that replypath doctor prints"
		}
	}
	for i, f := range all {
		all[i].Evidence = limitEvidence(f.Evidence)
	}
	return all
}

// wipesMark reports whether the rule of iptables at the index is such a rule, and returns the command that replaces it by one that
// writes the same bits and no others, or none where its number is not known. It is no remedy where these are in replypath's mask.
func (s Snapshot) wipesMark(i int) (line string, wipes bool) {
	f := s.Firewall[i]
	found := wholeMark.FindStringSubmatch(f.Text)
	if f.Backend == "" || !strings.HasPrefix(f.Location, marks.MangleTable+" ") || found == nil || found[2] == "0x0" {
		return "", false
	}
	m, err := marks.ParseMarkMatch(found[2])
	if err != nil || marks.Mask(m.Mark)&s.Settings.Mask != 0 || found[1] == "--set-xmark" && !s.divertsSockets(f) {
		return "", false
	}
	number, known := s.ruleNumber(i)
	if !known {
		return "", true
	}
	_, rule, _ := strings.Cut(strings.TrimPrefix(f.Text, "-A "), " ")
	rule = strings.Replace(rule, found[0], fmt.Sprintf("%s %s/%[2]s", found[1], found[2]), 1)
	return fmt.Sprintf("%s -t mangle -R %s %d %s", strings.TrimSuffix(f.Tool, "-save"), f.Chain, number, rule), true
}

// divertsSockets reports whether the rule matches packets of sockets, or is in a chain to which such a rule leads.
func (s Snapshot) divertsSockets(f foreign.Rule) bool {
	matches := func(o foreign.Rule) bool { return strings.Contains(o.Text, "-m socket") }
	return matches(f) || slices.ContainsFunc(s.Firewall, func(o foreign.Rule) bool {
		words := strings.Fields(o.Text)
		return o.Tool == f.Tool && matches(o) && slices.Contains(words, f.Chain) && strings.HasPrefix(o.Location, marks.MangleTable+" ") && o.Chain != f.Chain
	})
}

// ruleNumber returns the number of the rule at the index in its chain. Those of replypath, which are not among s.Firewall, are the
// first of a built-in chain; the number is not known where they are elsewhere, or were not read.
func (s Snapshot) ruleNumber(i int) (n int, known bool) {
	f := s.Firewall[i]
	for _, o := range s.Firewall[:i+1] {
		if o.Tool == f.Tool && o.Location == f.Location {
			n++
		}
	}
	known = s.State.Hooks != nil || f.Hook == ""
	for k, state := range s.State.Hooks {
		if k.Hook.Builtin == f.Chain && k.Hook.Table() == marks.MangleTable && k.Firewall.Backend == f.Backend && (k.Firewall.Family == uplinks.IPv6) == f.IsIPv6() {
			n += state.Count
			known = known && (state.Reachable || state.Count == 0)
		}
	}
	return n, known
}

// checkDivertedFirst reports rules of transparent proxies that end the traversal of PREROUTING before replypath's hook: packets
// of established sockets do not get the mark of their connection then.
func (s Snapshot) checkDivertedFirst() (all []Finding) {
	for k, state := range s.State.Hooks {
		if k.Hook.Builtin != "PREROUTING" || state.Count == 0 || state.Reachable {
			continue
		}
		var evidence []string
		for _, f := range s.Firewall {
			own := f.Backend == k.Firewall.Backend && f.IsIPv6() == (k.Firewall.Family == uplinks.IPv6)
			if own && f.Location == marks.MangleTable+" PREROUTING" && (strings.Contains(f.Text, "-m socket") || strings.Contains(f.Text, "-j TPROXY")) {
				evidence = append(evidence, firewallRuleText(f))
			}
		}
		if len(evidence) > 0 {
			all = append(all, Finding{ID: "divert-first", Severity: Error, Evidence: limitEvidence(evidence),
				Message: fmt.Sprintf("rules of a transparent proxy are before those of replypath in PREROUTING, in %s, and end the traversal: the packets that they accept do not get the mark of their uplink", k.Firewall.Family),
				Remedy:  "replypath apply"})
		}
	}
	slices.SortFunc(all, func(a, b Finding) int { return strings.Compare(a.Message, b.Message) })
	return all
}
