package rtnl

import (
	"context"
	"fmt"

	"replypath/uplinks"

	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

// listRules returns all rules of a family, in the order in which the kernel evaluates them.
func (h *Handle) listRules(ctx context.Context, f uplinks.Family) (rules []rawRule, err error) {
	err = dump(ctx, f.String()+" rules", func() error {
		rules = nil
		req := h.request(unix.RTM_GETRULE, unix.NLM_F_DUMP)
		req.AddData(&nl.RtMsg{RtMsg: unix.RtMsg{Family: uint8(addressFamily(f))}})
		return forEachReply(req, unix.RTM_NEWRULE, func(m []byte) error {
			r, err := parseRule(m, f)
			rules = append(rules, r)
			return err
		})
	})
	return rules, err
}

// readRules reads the rules of a family: ours into have, all others into facts.
func (h *Handle) readRules(ctx context.Context, f uplinks.Family, facts *uplinks.Facts, have *uplinks.State) error {
	rules, err := h.listRules(ctx, f)
	if err != nil {
		return fmt.Errorf("read %s rules: %w", f, err)
	}
	for i := range rules {
		r, protocol := rules[i].toRule(), rules[i].Protocol
		if protocol == uplinks.Protocol {
			have.Rules[r] = true
			continue
		}
		facts.ForeignRules = append(facts.ForeignRules, r)
		if facts.RuleProtocols == nil {
			facts.RuleProtocols = map[uplinks.Rule]uint8{}
		}
		facts.RuleProtocols[r] = protocol
	}
	return nil
}
