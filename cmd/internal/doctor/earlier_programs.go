package doctor

import (
	"cmp"
	"fmt"
)

// checkEarlierPrograms reports BPF programs of others that can keep packets from ours: with any verdict but TCX_NEXT the kernel runs no
// program behind them (net/core/dev.c, tcx_run).
func (s Snapshot) checkEarlierPrograms() (all []Finding) {
	type hook struct {
		link    string
		ingress bool
	}
	found := map[hook]int{} // in all
	for _, p := range s.EarlierPrograms {
		at := hook{p.Link, p.Ingress}
		i, known := found[at]
		if !known {
			i = len(all)
			found[at] = i
			all = append(all, earlierPrograms(p.Link, p.Ingress))
		}
		all[i].Evidence = append(all[i].Evidence, fmt.Sprintf("bpftool prog show id %d: %s", p.Number, cmp.Or(p.Name, "its name is unknown")))
	}
	return all
}

// earlierPrograms returns the finding about a hook of a link, without evidence.
func earlierPrograms(link string, ingress bool) Finding {
	ours, effect := "filter at the egress", "is not filtered: while no rule translates them, packets from inside leave with their own source"
	if ingress {
		ours, effect = "classifier at the ingress", "is not classified: until the rules know a router's new hardware address, its connections are answered by another router"
	}
	return Finding{ID: "program-before-ours", Severity: Warning,
		Message: fmt.Sprintf("a BPF program of another service is before replypath's %s of %s: what it accepts (TCX_PASS) %s", ours, link, effect),
		Remedy: fmt.Sprintf("restart that service: a program that is attached later is behind replypath's, as bpftool net show dev %s shows; or let the program return TCX_NEXT (-1), which leaves a packet to those behind it",
			link)}
}
