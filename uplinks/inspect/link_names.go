package inspect

import (
	"fmt"
	"strings"

	"replypath/uplinks"
)

// absentLinkFinding reports an uplink whose link is not there, or belongs to another uplink.
func absentLinkFinding(s uplinks.Settings, u uplinks.Uplink, f uplinks.Facts) Finding {
	if owner, link := s.OwnerOf(u.Link, f); owner != "" {
		return Finding{
			What:   fmt.Sprintf("uplink %s: %q is an alternative name of %s, the interface of uplink %s: the uplink is not managed", u.Name, u.Link, link, owner),
			Remedy: "give each uplink its own interface, or the address of another router as its gateway in each family",
		}
	}
	if uplinks.IsLinkPattern(u.Link) {
		return Finding{
			What:   fmt.Sprintf("uplink %s: no link matches %q yet", u.Name, u.Link),
			Remedy: "apply again when there is one, or correct interface",
		}
	}
	return Finding{
		What:   fmt.Sprintf("uplink %s: there is no link %s yet", u.Name, u.Link),
		Remedy: "apply again when the link exists, or correct interface",
	}
}

// severalLinksFindings reports a pattern that several links match: which of them is used, and why.
func severalLinksFindings(s uplinks.Settings, u uplinks.Uplink, f uplinks.Facts) []Finding {
	all := s.LinksMatching(u.ConfiguredLink(), f)
	if len(all) < 2 {
		return nil
	}
	others := make([]string, 0, len(all))
	for _, l := range all[1:] {
		others = append(others, l.Name)
	}
	why := "it is the one that is ready: up, with an address or a default route"
	if all[0].AsReadyAs(all[1]) {
		why = "of those that are as ready it has existed the longest"
	}
	return []Finding{{
		What:   fmt.Sprintf("uplink %s: %q matches %s and %s: %[3]s is used, %[5]s", u.Name, u.ConfiguredLink(), all[0].Name, strings.Join(others, ", "), why),
		Remedy: fmt.Sprintf("write a pattern that matches one of them, or rename the others: ip link set %s name NAME", others[0]),
	}}
}

// changingNumber returns a line about a link whose kind gets another number with each connection, or modem.
func changingNumber(f uplinks.Facts, l uplinks.Link) []string {
	for _, start := range []string{"ppp", "wwan"} {
		if !strings.HasPrefix(l.Name, start) {
			continue
		}
		for name := range f.Links {
			if name != l.Name && strings.HasPrefix(name, start) {
				return nil
			}
		}
		return []string{fmt.Sprintf("If its name can change, write interface = %q: whichever link is there whose name begins so.", start+"*")}
	}
	return nil
}
