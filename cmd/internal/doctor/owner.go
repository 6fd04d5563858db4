package doctor

import (
	"fmt"
	"strings"

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

// firewallOwners maps prefixes of words in chain names, table names and rules to the program that writes them.
var firewallOwners = []struct{ word, owner string }{
	{"KUBE-", "kube-proxy"}, {"kube-proxy", "kube-proxy"}, {"cali-", "Calico"}, {"CILIUM_", "Cilium"}, {"FLANNEL-", "flannel"},
	{"AWS-", "the AWS VPC CNI"}, {"CNI-", "a CNI plugin"}, {"DOCKER", "Docker"}, {"ts-", "Tailscale"}, {"wg-quick", "wg-quick"},
	{"mwan3", "mwan3"}, {"pbr_", "OpenWrt's pbr"}, {"PBR_", "OpenWrt's pbr"}, {"LIBVIRT_", "libvirt"}, {"ufw", "ufw"},
	{"firewalld", "firewalld"}, {"NETBIRD", "NetBird"}, {"netbird", "NetBird"}, {"fw4", "OpenWrt's firewall"}, {"strongswan", "strongSwan"},
}

// firewallOwner returns the program that probably added the rule, or "" if it is unknown.
func firewallOwner(f foreign.Rule) string {
	words := append(strings.Fields(f.Location), strings.FieldsFunc(f.Text, func(r rune) bool { return r == ' ' || r == '"' })...)
	for _, known := range firewallOwners {
		for _, w := range words {
			if strings.HasPrefix(w, known.word) {
				return known.owner
			}
		}
	}
	// The connmark plugin of strongSwan matches by IPsec policy.
	if strings.Contains(f.Text, "-m policy") && strings.Contains(f.Text, "CONNMARK") {
		return "strongSwan"
	}
	return ""
}
