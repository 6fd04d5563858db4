package doctor

import "fmt"

// checkUnconfigured reports that no uplink is configured on a host with several, and which replies stray therefore.
func (s Snapshot) checkUnconfigured() []Finding {
	var lines, links []string
	for _, r := range s.Unconfigured {
		switch r.Egress {
		case r.Link:
			continue
		case "":
			lines = append(lines, fmt.Sprintf("a reply from %s to the Internet, whose request came in by %s, has no route", r.From, r.Link))
		default:
			lines = append(lines, fmt.Sprintf("a reply from %s to the Internet, whose request came in by %s, leaves by %s", r.From, r.Link, r.Egress))
		}
		links = append(links, r.Link)
	}
	if len(lines) == 0 {
		return nil
	}
	return []Finding{{ID: "unconfigured", Severity: Warning, Evidence: limitEvidence(lines),
		Message: fmt.Sprintf("this host has several uplinks and none is configured: replies to requests that come in by %s stray", commaList(unique(links))),
		Remedy:  "replypath init --write writes a configuration with these uplinks; then: replypath check, replypath plan, replypath apply --confirm 60s"}}
}
