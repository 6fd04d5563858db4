package main

import (
	"fmt"
	"strings"
	"time"

	"replypath/cmd/terminal"
	"replypath/health"
	"replypath/uplinks"
)

// writeOutbound writes what each policy uses, and how the connections of each uplink were last moved.
func writeOutbound(out *strings.Builder, o *health.OutboundStatus, now time.Time, p terminal.Palette) {
	if o == nil {
		return
	}
	out.WriteByte('\n')
	out.WriteString(p.Bold("OUTBOUND") + "  policies; the default is " + sanitize(o.Default) + "\n")
	for _, policy := range o.Policies {
		writePolicy(out, *o, policy, now, p)
	}
	for _, u := range o.Uplinks {
		if m := u.LastMove; m != nil {
			text := fmt.Sprintf("%s %s at %s: %s, %d of them in the second sweep: %s", u.Uplink, u.Family, formatTime(m.At), m.Text(), m.SecondSweep, m.Reason)
			writeField(out, "moved", sanitize(text))
		}
	}
}

// writePolicy writes a policy in one family.
func writePolicy(out *strings.Builder, o health.OutboundStatus, policy health.PolicyStatus, now time.Time, p terminal.Palette) {
	var members []string
	for _, m := range policy.Members {
		members = append(members, memberText(o, policy.Family, m))
	}
	tier := fmt.Sprintf("tier %d", policy.Tier)
	colour := p.Green
	switch {
	case policy.Tier == 0:
		tier, colour = "none usable: "+policy.LastResort, p.Red
	case policy.Tier > 1:
		colour = p.Yellow
	}
	first := fmt.Sprintf("%s %s", sanitize(policy.Policy), policy.Family)
	fmt.Fprintf(out, "%-8s  %s: %s since %s\n", "policy", first, colour(tier), formatAge(now, policy.Since))
	writeField(out, "", strings.Join(members, ", "))
	if policy.Reason != "" {
		writeField(out, "", "last change at "+formatTime(policy.Since)+": "+sanitize(policy.Reason))
	}
}

// memberText returns the share of a member, or why it has none, and the number of its connections.
func memberText(o health.OutboundStatus, family uplinks.Family, m health.PolicyMember) string {
	part := formatPercent(m.SharePercent)
	if m.SharePercent == 0 {
		if part = string(m.State); m.State == uplinks.MemberUsable {
			part = "standby"
		}
	}
	if o.CountedAt.IsZero() {
		return fmt.Sprintf("%s %s", sanitize(m.Uplink), part)
	}
	return fmt.Sprintf("%s %s (%d pinned)", sanitize(m.Uplink), part, o.Of(m.Uplink, family).Connections)
}
