package doctor

import (
	"fmt"

	"replypath/marks/foreign"
	"replypath/uplinks"
	"replypath/uplinks/rpdb"
)

// ruleOwner returns the program that added the rule, or "" if it is unknown.
func ruleOwner(d *rpdb.Database, r *rpdb.Rule, n rpdb.Names) string {
	if o := d.Owner(r, n); o != rpdb.UnknownOwner {
		return o
	}
	return ""
}

// ruleLine returns the rule as ip-rule(8) prints it.
func ruleLine(d *rpdb.Database, r *rpdb.Rule, n rpdb.Names) string {
	ip := "ip rule"
	if d.Family == uplinks.IPv6 {
		ip = "ip -6 rule"
	}
	return fmt.Sprintf("%s %d: %s protocol %s", ip, r.Priority, r.Text(n), n.ProtocolName(r.Protocol))
}

// firewallRuleText returns the tool, location and text of a firewall rule.
func firewallRuleText(f foreign.Rule) string {
	return fmt.Sprintf("%s: %s: %s", f.Tool, f.Location, f.Text)
}

// firewallOwner returns the program that probably added the rule, or "" if it is unknown.
func firewallOwner(f foreign.Rule) string { return foreign.Owner(f) }
