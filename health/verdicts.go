package health

import (
	"cmp"
	"maps"
	"slices"

	"replypath/uplinks"
)

// PathVerdict is the verdict on a path.
type PathVerdict struct {
	Uplink  string          `json:"uplink"`
	Family  uplinks.Family  `json:"family"`
	Verdict uplinks.Verdict `json:"verdict"`
}

// ListVerdicts returns the verdicts that are known, in the order of the uplinks' names.
func ListVerdicts(v uplinks.Verdicts) (all []PathVerdict) {
	paths := slices.SortedFunc(maps.Keys(v), func(a, b uplinks.PathKey) int {
		return cmp.Or(cmp.Compare(a.Uplink, b.Uplink), cmp.Compare(a.Family, b.Family))
	})
	for _, path := range paths {
		if v[path] != uplinks.VerdictUnknown {
			all = append(all, PathVerdict{path.Uplink, path.Family, v[path]})
		}
	}
	return all
}

// VerdictsOf returns the verdicts of a list.
func VerdictsOf(all []PathVerdict) uplinks.Verdicts {
	v := uplinks.Verdicts{}
	for _, p := range all {
		v[uplinks.PathKey{Uplink: p.Uplink, Family: p.Family}] = p.Verdict
	}
	return v
}
