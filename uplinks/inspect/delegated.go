package inspect

import (
	"fmt"

	"replypath/uplinks"
)

// unassignedPrefixes names the networks that could belong to an uplink with prefixes = "auto", and of which nothing says to which.
func unassignedPrefixes(s uplinks.Settings, f uplinks.Facts) (all []Finding) {
	for _, p := range s.AutoPrefixes(f).Unassigned {
		all = append(all, Finding{
			What:   fmt.Sprintf(`%s is of no uplink with prefixes = "auto": no uplink has an address that is nearer to it than those of the others, and what is sent from there follows the policies`, p),
			Remedy: "add it to the prefixes of the uplink whose provider routes it",
		})
	}
	return all
}
