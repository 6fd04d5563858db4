package inspect

import (
	"maps"
	"slices"

	"replypath/uplinks"
)

// inspectPrograms returns a finding for the BPF programs of one kind that the kernel refuses at all links, or one for each link.
func inspectPrograms(f uplinks.Facts, r uplinks.ProgramRefusal, effect, remedy string) (all []Finding) {
	if r.All != "" {
		return []Finding{{What: effect + "the uplinks: " + firstSentence(r.All), Remedy: remedy}}
	}
	for _, index := range slices.Sorted(maps.Keys(r.Links)) {
		if name, exists := f.LinkName(index); exists {
			all = append(all, Finding{What: effect + name + ": " + firstSentence(r.Links[index]), Remedy: remedy})
		}
	}
	return all
}
