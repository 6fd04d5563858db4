package doctor

import "replypath/uplinks"

// checkMismarked reports connections to an address of one uplink that have the mark of another.
func (s Snapshot) checkMismarked() []Finding {
	f := Finding{ID: "mark-of-other-uplink", Severity: Warning, Message: "connections to an address of one uplink have the mark of another: their replies leave by that one", Remedy: uplinks.MismarkedRemedy}
	for _, m := range s.Mismarked {
		f.Evidence = append(f.Evidence, m.String())
	}
	return withEvidence(f)
}
