package doctor

import (
	"fmt"
	"slices"
	"strings"

	"replypath/marks/foreign"
	"replypath/uplinks"
	"replypath/uplinks/rpdb"
)

// checkMarkRules reports rules before those of replypath that select packets by a mark, together with the firewall rules that set
// this mark on packets of the host: its replies may get it, too.
func (s Snapshot) checkMarkRules() []Finding {
	var evidence, owners []string
	onOutput := s.outputChains()
	for _, d := range s.Rules {
		for i := range d.Rules {
			r := &d.Rules[i]
			if !isForeign(r) || r.Priority >= s.Settings.Priority || !selectsByMark(r) || !routesClients(d, r) {
				continue
			}
			for _, f := range s.Firewall {
				if (f.Hook == "OUTPUT" || onOutput[f.Tool+f.Location]) && isOfFamily(f, d.Family) && setsMarkOf(f, r, s.Settings) {
					evidence = append(evidence, firewallRuleText(f), ruleLine(d, r, s.Names))
					owners = append(owners, ownerName(firewallOwner(f)))
				}
			}
		}
	}
	if len(evidence) == 0 {
		return nil
	}
	return []Finding{{ID: "mark-before-ours", Severity: Warning, Evidence: limitEvidence(unique(evidence)),
		Message: fmt.Sprintf("firewall rules of %s set a mark on packets of this host, by which an ip rule before those of replypath selects: replies that get it leave their path", commaList(unique(owners))),
		Remedy: s.withFreePriority(fmt.Sprintf("let those firewall rules leave replies alone (ct mark & %#x == 0), or give those ip rules priorities above %d",
			uint32(s.Settings.Mask), s.Settings.Priority+uplinks.BlockSize-1))}}
}

// outputChains returns the chains of iptables that rules of OUTPUT jump to, directly or by others, by tool and location.
func (s Snapshot) outputChains() map[string]bool {
	reached := map[string]bool{}
	for before := -1; before != len(reached); {
		before = len(reached)
		for _, f := range s.Firewall {
			words := strings.Fields(f.Text)
			at := slices.IndexFunc(words, func(w string) bool { return w == "-j" || w == "-g" })
			if at < 0 || at+1 == len(words) || f.Hook != "OUTPUT" && !reached[f.Tool+f.Location] {
				continue
			}
			reached[f.Tool+strings.TrimSuffix(f.Location, f.Chain)+words[at+1]] = true
		}
	}
	return reached
}

// isOfFamily reports whether packets of the family meet the rule.
func isOfFamily(f foreign.Rule, family uplinks.Family) bool {
	first, _, _ := strings.Cut(f.Location, " ")
	only4 := strings.HasPrefix(f.Tool, "iptables") || strings.HasPrefix(f.Tool, "nft") && first == "ip"
	only6 := strings.HasPrefix(f.Tool, "ip6tables") || strings.HasPrefix(f.Tool, "nft") && first == "ip6"
	return !(family == uplinks.IPv4 && only6 || family == uplinks.IPv6 && only4)
}

// selectsByMark reports whether the rule selects by bits of the mark that are set, and by nothing that excludes the replies of
// servers.
func selectsByMark(r *rpdb.Rule) bool {
	others := r.To.IsValid() || r.In != "" && r.In != "lo" || r.Out != "" || r.Tunnel != 0 || r.L3mdev || len(r.UnknownAttrs) > 0
	return r.Mask != 0 && r.Mark != 0 && !r.Not && !others && decides(r)
}

// setsMarkOf reports whether the firewall rule sets the mark by which the rule selects, outside of replypath's mask.
func setsMarkOf(f foreign.Rule, r *rpdb.Rule, s uplinks.Settings) bool {
	bits := r.Mark & r.Mask &^ uint32(s.Mask)
	return f.WritesMark && !f.WritesConnmark && bits != 0 && uint32(f.MarkValue)&bits == bits
}
