package foreign

import "strings"

// owners maps prefixes of words in chain names, table names and rules to the program that writes them.
var owners = []struct{ word, owner string }{
	{"KUBE-", "kube-proxy"}, {"kube-proxy", "kube-proxy"}, {"cali-", "Calico"}, {"CILIUM_", "Cilium"}, {"FLANNEL-", "flannel"},
	{"AWS-", "the AWS VPC CNI"}, {"CNI-", "a CNI plugin"}, {"DOCKER", "Docker"}, {"ts-", "Tailscale"}, {"wg-quick", "wg-quick"},
	{"mwan3", "mwan3"}, {"pbr_", "OpenWrt's pbr"}, {"PBR_", "OpenWrt's pbr"}, {"LIBVIRT_", "libvirt"}, {"ufw", "ufw"},
	{"firewalld", "firewalld"}, {"NETBIRD", "NetBird"}, {"netbird", "NetBird"}, {"fw4", "OpenWrt's firewall"}, {"strongswan", "strongSwan"},
}

// Owner returns the program that probably added the rule, or "" if it is unknown.
func Owner(f Rule) string {
	words := append(strings.Fields(f.Location), strings.FieldsFunc(f.Text, func(r rune) bool { return r == ' ' || r == '"' })...)
	for _, known := range owners {
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
