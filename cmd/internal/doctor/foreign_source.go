package doctor

import (
	"slices"

	"replypath/uplinks"
)

// checkForeignSources reports connections that leave by an uplink with a source that is not one of its own.
func (s Snapshot) checkForeignSources() []Finding {
	f := Finding{ID: "foreign-source", Severity: Warning, Message: "connections that begin inside leave by an uplink with a source that is not in its networks: its provider may drop them, or their replies come by another uplink",
		Remedy: `set masquerade = "ipv4" or "both" in [outbound]; list networks that the provider routes in the uplink's prefixes`}
	if slices.ContainsFunc(s.ForeignSources, func(o uplinks.ForeignSource) bool { return o.Translated }) {
		f.Remedy += "; give each rule with SNAT the interface for which its address is right (-o, oifname)"
	}
	for _, o := range s.ForeignSources {
		f.Evidence = append(f.Evidence, o.String())
	}
	return withEvidence(f)
}
