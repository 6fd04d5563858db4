package foreign

import (
	"regexp"
	"slices"
	"strings"

	"replypath/marks"

	"golang.org/x/sys/unix"
)

// discoveryHooks are the hooks at which packets of neighbour discovery leave this host.
var discoveryHooks = []string{"OUTPUT", "POSTROUTING"}

// markDiscovery marks those rules as iptables-save prints them that certainly break neighbour discovery: they select at most a link and
// ICMPv6, are in a built-in chain, and no rule before them may take the packets away.
func markDiscovery(rules []Rule) {
	ended := map[string]bool{} // chains, by location
	for i, r := range rules {
		if !r.IsIPv6() || !slices.Contains(discoveryHooks, r.Chain) || strings.HasPrefix(r.Location, marks.MasqTable+" ") || ended[r.Location] {
			continue
		}
		words := strings.Fields(quotedText.ReplaceAllString(r.Text, "-"))
		rules[i].BreaksDiscovery = selectsDiscovery(words) && breaksPackets(words)
		ended[r.Location] = endsTraversal(words) && mayBeICMPv6(words)
	}
}

// selectsDiscovery reports whether a rule selects all packets of neighbour discovery, or those of one kind, that leave by some links.
func selectsDiscovery(words []string) bool {
	for i := 2; i+1 < len(words); i += 2 {
		switch option, value := words[i], words[i+1]; option {
		case "-o", "-j", "-c", "--hl-set", "--hl-dec", "--reject-with", "--comment":
		case "-p":
			if !slices.Contains(namesOfICMPv6, value) {
				return false
			}
		case "-m":
			if value != "icmp6" && value != "comment" {
				return false
			}
		case "--icmpv6-type":
			if value != "135" && value != "136" {
				return false
			}
		default:
			return false
		}
	}
	return len(words)%2 == 0
}

// namesOfICMPv6 are the names of the protocol.
var namesOfICMPv6 = []string{"ipv6-icmp", "icmpv6", "58"}

// mayBeICMPv6 reports whether the rule may select packets of ICMPv6.
func mayBeICMPv6(words []string) bool {
	at := slices.Index(words, "-p")
	return at < 1 || words[at-1] == "!" || slices.Contains(namesOfICMPv6, words[at+1])
}

// breaksPackets reports whether the target drops packets, or gives them another hop limit than that of neighbour discovery.
func breaksPackets(words []string) bool {
	limit, sets := option(words, "--hl-set")
	switch targetOf(words) {
	case "DROP", "REJECT":
		return true
	case "HL":
		return sets && limit != "255" || slices.Contains(words, "--hl-dec")
	}
	return false
}

// nftDiscovery matches the text of a rule of nftables that selects at most a link and ICMPv6, or neighbour discovery, and drops these
// packets or sets their hop limit.
var nftDiscovery = regexp.MustCompile(`^(?:oif(?:name)? "[^"*]+" |meta nfproto ipv6 |meta protocol ip6 |(?:meta l4proto|ip6 nexthdr) ipv6-icmp |@th,0,8 0x8[78] )*(?:drop|reject|(?:ip6 hoplimit|@nh,56,8) set (\w+))$`)

// selectsIPv6 matches the text of a rule that selects IPv6, without which a field of its header has no name.
var selectsIPv6 = regexp.MustCompile(`meta (?:protocol ip6|nfproto ipv6) `)

// otherTransport matches the text of a rule that selects another transport protocol than ICMPv6.
var otherTransport = regexp.MustCompile(`l4proto (tcp|udp|icmp|sctp|udplite)\b|\b(tcp|udp|sctp|udplite) [sd]port`)

// breaksDiscovery returns for each rule of nftables whether it certainly breaks neighbour discovery, as markDiscovery does. hooks are
// those of base chains, egress the chains behind the route.
func breaksDiscovery(hooks map[string]string, egress map[string]egressChain, rules []chainRule) []bool {
	called, ended, all := map[string]bool{}, map[string]bool{}, make([]bool, len(rules))
	for _, r := range rules {
		for _, j := range r.jumps(nil) {
			called[r.beside(j.chain)] = true
		}
	}
	for i, r := range rules {
		at := r.rule.Location
		_, atEgress := egress[at]
		leaves := r.family == unix.NFPROTO_NETDEV && atEgress && !called[at] || r.family != unix.NFPROTO_IPV4 && slices.Contains(discoveryHooks, hooks[at])
		if !leaves || ended[at] {
			continue
		}
		m := nftDiscovery.FindStringSubmatch(r.Text)
		ofIPv6 := r.family == unix.NFPROTO_IPV6 || !strings.Contains(r.Text, "@nh") || selectsIPv6.MatchString(r.Text)
		all[i] = m != nil && m[1] != "255" && m[1] != "0xff" && ofIPv6
		ends := r.Drops || r.Accepts || r.Returns || r.Behaviour.Chain != "" || r.VerdictMap != ""
		ended[at] = ends && !otherTransport.MatchString(r.Text)
	}
	return all
}

// Texts of rules of nftables: what they select.
var (
	nftSourcePort = regexp.MustCompile(`\bsport (\d+)(?: |$)`)
	nftTransport  = regexp.MustCompile(`(?:l4proto|ip protocol|ip6 nexthdr) (tcp|udp|icmp|ipv6-icmp|sctp|udplite)\b|\b(tcp|udp|sctp|udplite) [sd]port`)
	nftNetwork    = regexp.MustCompile(`(?:meta protocol|ether type|meta nfproto) (\w+)(?: |$)`)
)

// MayTake reports whether a rule of nftables may select packets of the protocol that have this source port, as far as its text says.
func (r Rule) MayTake(ipv6 bool, proto, port string) bool {
	network := map[bool][]string{false: {"ip", "ipv4"}, true: {"ip6", "ipv6"}}[ipv6]
	for _, m := range nftNetwork.FindAllStringSubmatch(r.Text, -1) {
		if !slices.Contains(network, m[1]) {
			return false
		}
	}
	for _, m := range nftTransport.FindAllStringSubmatch(r.Text, -1) {
		if m[1] != proto && m[2] != proto {
			return false
		}
	}
	m := nftSourcePort.FindStringSubmatch(r.Text)
	return m == nil || m[1] == port
}
