package uplinks

import (
	"net/netip"
	"slices"

	"replypath/marks"
)

// pathMark is the mark of an uplink in one family, under its mask.
type pathMark struct {
	family Family
	mark   marks.Mark
	mask   marks.Mask
}

// pathMark returns the mark that the rule selects.
func (r *Rule) pathMark() pathMark { return pathMark{r.Family, r.Mark, r.Mask} }

// uplinkEnd is what an uplink leads to: its link, and its router, as several uplinks may share the link.
type uplinkEnd struct {
	family Family
	link   string
	router netip.Addr
}

// tableKey identifies a routing table.
type tableKey struct {
	family Family
	table  Table
}

// uplinkEnds returns what the default route of each table leads to. A table with one of another program leads nowhere that is known.
func (s State) uplinkEnds() map[tableKey]uplinkEnd {
	ends, foreign := map[tableKey]uplinkEnd{}, []tableKey(nil)
	for k, r := range s.Routes {
		switch table := (tableKey{k.Family, k.Table}); {
		case k.Dst != k.Family.DefaultPrefix():
		case r.Protocol != Protocol:
			foreign = append(foreign, table)
		case k.Nth == 0 && r.Type == Unicast && r.Link != "":
			ends[table] = uplinkEnd{k.Family, r.Link, r.Gateway}
		}
	}
	for _, table := range foreign {
		delete(ends, table)
	}
	return ends
}

// lookedUp returns the marks that lead to tables of uplinks.
func (s State) lookedUp() map[pathMark]bool {
	all := map[pathMark]bool{}
	for r := range s.Rules {
		if r.looksUpMark() {
			all[r.pathMark()] = true
		}
	}
	return all
}

// markEnds returns what each mark leads to, as far as that is beyond doubt: by one table, and by the link that the rule for requests
// names, which differs while links exchange their names.
func (s State) markEnds() map[pathMark]uplinkEnd {
	ends, all, doubtful := s.uplinkEnds(), map[pathMark]uplinkEnd{}, map[pathMark]bool{}
	for r := range s.Rules {
		if !r.looksUpMark() {
			continue
		}
		of := r.pathMark()
		end, known := ends[tableKey{r.Family, r.Table}]
		if other, exists := all[of]; !known || exists && other != end {
			doubtful[of] = true
		}
		all[of] = end
	}
	for r := range s.Rules {
		if of := r.pathMark(); r.passesMark() && all[of].link != r.IIF {
			doubtful[of] = true
		}
	}
	for of := range doubtful {
		delete(all, of)
	}
	return all
}

// soleMarks returns the mark of each end that has one alone.
func soleMarks(ends map[pathMark]uplinkEnd) map[uplinkEnd]pathMark {
	all, several := map[uplinkEnd]pathMark{}, []uplinkEnd(nil)
	for of, end := range ends {
		if _, exists := all[end]; exists {
			several = append(several, end)
		}
		all[end] = of
	}
	for _, end := range several {
		delete(all, end)
	}
	return all
}

// marksByEnd returns the marks that lead to each end: several while an uplink gets another id. Those of an end are of several uplinks if
// the chains set more than one of them, and left out.
func (s State) marksByEnd() map[uplinkEnd][]pathMark {
	all := map[uplinkEnd][]pathMark{}
	for of, end := range s.markEnds() {
		all[end] = append(all[end], of)
	}
	for end, of := range all {
		if len(of) > 1 && len(slices.DeleteFunc(slices.Clone(of), func(m pathMark) bool { return !s.setsMark(m) })) > 1 {
			delete(all, end)
		}
	}
	return all
}

// setsMark reports whether a chain gives connections the mark.
func (s State) setsMark(m pathMark) bool {
	for key, chain := range s.Chains {
		if key.Firewall.Family == m.family && slices.ContainsFunc(chain.Rules, func(r marks.Rule) bool {
			return (r.Action.Kind == marks.SetCtmark || r.Action.Kind == marks.SetMarks) && r.Action.Mark&marks.Mark(m.mask) == m.mark
		}) {
			return true
		}
	}
	return false
}

// passes reports whether what comes in by the link with the mark is led past the look-ups by mark: the mark is of an uplink on that link.
func (s State) passes(m pathMark, link string) bool {
	for r := range s.Rules {
		if r.passesMark() && r.IIF == link && r.pathMark() == m {
			return true
		}
	}
	return false
}
