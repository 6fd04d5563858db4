package foreign

import (
	"strings"
	"testing"
)

// Rules that drop the packets of neighbour discovery, or change their hop limit, break it, unless an earlier rule may take these.
func TestRulesThatBreakNeighbourDiscovery(t *testing.T) {
	for rules, want := range map[string]bool{
		"-A POSTROUTING -j HL --hl-set 65":                                                       true,
		"-A POSTROUTING -o eth1 -j HL --hl-dec 1":                                                true,
		"-A POSTROUTING -o eth1 -j HL --hl-set 255":                                              false,
		"-A POSTROUTING -o eth1 -j HL --hl-inc 1":                                                false,
		"-A OUTPUT -p ipv6-icmp -m icmp6 --icmpv6-type 136 -j HL --hl-set 64":                    true,
		"-A OUTPUT -p ipv6-icmp -m icmp6 --icmpv6-type 129 -j HL --hl-set 64":                    false,
		"-A OUTPUT -p tcp -j HL --hl-set 64":                                                     false,
		"-A OUTPUT -s 2001:db8::1/128 -j HL --hl-set 64":                                         false,
		"-A OUTPUT ! -o eth1 -j HL --hl-set 64":                                                  false,
		"-A OUTPUT -p ipv6-icmp -j DROP":                                                         true,
		"-A FORWARD -j HL --hl-set 64":                                                           false,
		"-A OUTPUT -p ipv6-icmp -m comment --comment \"no echo\" -j DROP":                        true,
		"-A OUTPUT -p ipv6-icmp -j ACCEPT\n-A OUTPUT -j DROP":                                    false,
		"-A OUTPUT -p tcp -j ACCEPT\n-A OUTPUT -j DROP":                                          true,
		"-A OUTPUT ! -p tcp -j ACCEPT\n-A OUTPUT -j DROP":                                        false,
		"-A OUTPUT -j ufw6-output\n-A OUTPUT -j DROP":                                            false,
		"-A POSTROUTING -p ipv6-icmp -m icmp6 --icmpv6-type 135 -j RETURN\n-A POSTROUTING -j HL": false,
	} {
		found, _ := ParseSave("ip6tables-save", "*mangle\n"+rules+"\nCOMMIT\n")
		if got := found[len(found)-1].BreaksDiscovery; got != want {
			t.Errorf("%s: %v", rules, got)
		}
		found, _ = ParseSave("iptables-save", "*mangle\n"+strings.ReplaceAll(rules, "HL --hl", "TTL --ttl")+"\nCOMMIT\n")
		if found[len(found)-1].BreaksDiscovery {
			t.Errorf("%s in IPv4", rules)
		}
	}
}

// The text of a rule of nftables says which packets it cannot take.
func TestRulesThatMayTakeAPacket(t *testing.T) {
	for text, want := range map[string]bool{
		"drop": true, "tcp sport 22 drop": true, "tcp sport 23 drop": false, "tcp sport 20-30 drop": true, "tcp sport { ... } drop": true, "udp sport 22 drop": false,
		"meta protocol arp drop": false, "meta protocol ip ip saddr set 198.18.0.77": true, "meta protocol ip6 ip6 saddr 2001:db8::/32 drop": false,
		"meta l4proto tcp drop": true, "meta l4proto udp drop": false, "meta nfproto ipv4 tcp sport 22 drop": true, "th sport 22 drop": true,
	} {
		if got := (Rule{Text: text}).MayTake(false, "tcp", "22"); got != want {
			t.Errorf("%s: %v", text, got)
		}
	}
}
