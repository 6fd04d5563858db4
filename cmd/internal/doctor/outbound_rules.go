package doctor

import (
	"fmt"
	"slices"

	"replypath/uplinks"
)

// checkOutboundRules reports rules of other programs among those of the policies of [outbound], and rules that would take every
// packet, such as those of a VPN client, but come behind the policies, which then take the packets of the VPN.
func (s Snapshot) checkOutboundRules() (all []Finding) {
	if !s.Settings.Outbound.Enabled() {
		return nil
	}
	blocks := s.Settings.Blocks()
	block := blocks[slices.IndexFunc(blocks, func(b uplinks.Block) bool { return b.Purpose == "outbound" })]
	var among, behind, amongOwners, behindOwners []string
	for _, d := range s.Rules {
		for i := range d.Rules {
			r := &d.Rules[i]
			switch {
			case !isForeign(r) || r.Priority < block.FirstPriority || r.Priority >= uplinks.MainPriority:
			case r.Priority <= block.LastPriority:
				among, amongOwners = append(among, ruleLine(d, r, s.Names)), append(amongOwners, ownerName(ruleOwner(d, r, s.Names)))
			case catchesAll(r) && r.Table != uplinks.MainTable && routesClients(d, r):
				behind, behindOwners = append(behind, ruleLine(d, r, s.Names)), append(behindOwners, ownerName(ruleOwner(d, r, s.Names)))
			}
		}
	}
	if len(among) > 0 {
		all = append(all, Finding{ID: "rule-among-policies", Severity: Warning, Evidence: limitEvidence(among),
			Message: fmt.Sprintf("ip rules of %s have priorities in the block of [outbound], %d to %d", commaList(unique(amongOwners)), block.FirstPriority, block.LastPriority),
			Remedy:  fmt.Sprintf("give those rules priorities below %d if they are to come before the policies, else above %d", block.FirstPriority, block.LastPriority)})
	}
	if len(behind) > 0 {
		all = append(all, Finding{ID: "rule-behind-policies", Severity: Warning, Evidence: limitEvidence(behind),
			Message: fmt.Sprintf("ip rules of %s lead every packet elsewhere, but come behind [outbound], which sends the connections of this host by the uplinks", commaList(unique(behindOwners))),
			Remedy:  fmt.Sprintf("give those rules priorities from %d to %d, or exempt what they are for: a rule of [outbound.rules] with use = \"main\"", s.Settings.Priority+uplinks.BlockSize, block.FirstPriority-1)})
	}
	return all
}
