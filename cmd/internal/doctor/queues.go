package doctor

import (
	"slices"

	"replypath/marks/foreign"
)

// checkQueues reports firewall rules that hand packets to queues which no program reads: the kernel drops these packets.
func (s Snapshot) checkQueues() []Finding {
	if !s.QueuesKnown {
		return nil
	}
	lines := s.firewallRules(func(f foreign.Rule) bool {
		_, unread := f.Queues.Unread(func(n uint16) bool { return slices.Contains(s.Queues, n) })
		return unread
	})
	if len(lines) == 0 {
		return nil
	}
	return []Finding{{ID: "queue-unread", Severity: Warning, Evidence: limitEvidence(lines),
		Message: "firewall rules hand packets to queues that no program reads: the kernel drops these packets",
		Remedy:  "start the program that decides about them (see /proc/net/netfilter/nfnetlink_queue), delete those rules, or let packets go on without it: --queue-bypass, or queue flags bypass"}}
}
