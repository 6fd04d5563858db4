package doctor

import (
	"fmt"

	"replypath/marks"
	"replypath/uplinks"
)

// isRemovedMark reports whether connections that began inside have the id of no uplink, and nothing else, and no rule of another
// program is seen to set that mark: the mark of an uplink that has been removed from the configuration. Others give a mark with
// the flag by accident only; one without it could be of another program, too.
func (s Snapshot) isRemovedMark(mark uint32) bool {
	flag := s.Settings.OutboundFlag()
	return flag != 0 && marks.Mask(mark)&flag == flag && s.mayBeRemovedMark(mark)
}

// mayBeRemovedMark reports whether a mark has an id that no uplink has, and no bits of others, and no rule of another program is seen to
// set it.
func (s Snapshot) mayBeRemovedMark(mark uint32) bool {
	ours := s.Settings.Mask | s.Settings.OutboundFlag()
	id := s.Settings.Mask.ID(marks.Mark(mark) & marks.Mark(s.Settings.Mask))
	return len(s.Settings.Uplinks) > 0 && marks.Mask(mark)&^ours == 0 && id > 0 && id <= marks.MaxID && !s.isUplinkMark(marks.Mark(mark)) && s.markOwner(mark) == ""
}

// checkRemovedMarks reports the connections that began inside of uplinks that were removed: they leave with the address of the uplink.
func (s Snapshot) checkRemovedMarks() []Finding {
	f := Finding{ID: "mark-of-removed-uplink", Severity: Warning,
		Message: "connections that began inside have the marks of uplinks that were removed from the configuration: they leave by the routes of main, with the address of the removed uplink",
		Remedy:  "make conntrack forget them: what follows begins anew"}
	for _, c := range s.Flows {
		if s.isRemovedMark(c.Mark) {
			f.Evidence = append(f.Evidence, markedLine(c))
			f.Commands = append(f.Commands, fmt.Sprintf("conntrack -D -m %#x/%#x", c.Mark, uint32(s.Settings.Mask|s.Settings.OutboundFlag())))
		}
	}
	return withEvidence(f)
}

// markedLine describes connections with a mark.
func markedLine(c uplinks.MarkedConnections) string {
	return fmt.Sprintf("connections with mark %#x: %d, such as %s", c.Mark, c.Count, c.Example)
}
