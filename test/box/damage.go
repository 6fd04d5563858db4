package box

import (
	"regexp"
	"slices"
	"strings"
)

// FamilyWords replace the placeholders in lines of shell by what differs between the families: commands, gateways, prefixes.
var FamilyWords = map[int]*strings.Replacer{
	4: strings.NewReplacer("RESTORE", Restore4, "IPT", "%s", "IP", "ip -4", "SYSCTL", "net.ipv4.fwmark_reflect", "ANY", "203.0.113.0/24",
		"VIA", "192.0.2.1", "OTHER", "192.0.2.9", "FROM", "192.0.2.2", "NET", "192.0.2.0/24"),
	6: strings.NewReplacer("RESTORE", Restore6, "IPT", "%s", "IP", "ip -6", "SYSCTL", "net.ipv6.fwmark_reflect", "ANY", "2001:db8:c::/64",
		"VIA", "fe80::1", "OTHER", "fe80::9", "FROM", "2001:db8:b::2", "NET", "2001:db8:b::/64"),
}

// Restore4 and Restore6 restore the rules of the kernel after a flush. MarkRule is the rule of the second uplink's mark.
const (
	Restore4 = "ip rule add priority 32766 lookup main protocol 2; ip rule add priority 32767 lookup default protocol 2"
	Restore6 = "ip -6 rule add priority 32766 lookup main protocol 2"
	MarkRule = "priority 2003 fwmark 0x200/0x1f00 lookup 8202 protocol 82"
	wayOut   = "default via VIA dev eth1 src FROM table 8202"
)

// FamilyShell runs lines of shell on the gateway, with the family's words.
func (b *Box) FamilyShell(family int, text string) {
	b.T.Helper()
	text = strings.ReplaceAll(FamilyWords[family].Replace(text), "%s", b.IptablesName(family)+" -w -t mangle")
	b.Gateway.Run("sh", "-ec", text)
}

// IgnoringErrors commands go on when one fails: ip(8) lists and then deletes, and gives up over what the service has changed
// in between. What a flush that gave up has left is there to be added again.
func IgnoringErrors(commands string) string {
	return strings.ReplaceAll(commands, ";", " || :;") + " || :"
}

// hookedChain finds the chains that hooks lead to, and hookOf has their base chains.
var (
	hookedChain = regexp.MustCompile(`FAM-(pre|out|post)\b`)
	hookOf      = map[string]string{"pre": "prerouting", "out": "output", "post": "postrouting"}
)

// WithoutGate returns the command of nft(8) that takes the gate out of a base chain of our table: packets go to the hooks.
func WithoutGate(base string) string {
	return strings.ReplaceAll("flush chain inet replypath BASE; add rule inet replypath BASE meta nfproto ipv4 goto ip-BASE; "+
		"add rule inet replypath BASE meta nfproto ipv6 goto ip6-BASE", "BASE", base)
}

// HarmChains changes our chains of a family as another program would: by the commands of nft(8), in which TABLE is our table
// and FAM- starts the names of the family's chains, or by those of iptables on the mangle table. Gates, which do for most
// packets what the chains behind them do, are harmed with them.
func (b *Box) HarmChains(family int, nft string, iptables ...string) {
	b.T.Helper()
	if slices.Contains(b.Settings, Nftables) {
		for _, harmed := range hookedChain.FindAllStringSubmatch(nft, -1) {
			b.Gateway.Run("nft", WithoutGate(hookOf[harmed[1]]))
		}
		b.Gateway.Run("nft", strings.NewReplacer("TABLE", "inet replypath", "FAM-", map[int]string{4: "ip-", 6: "ip6-"}[family]).Replace(nft))
		return
	}
	for _, line := range iptables {
		b.Iptables(family, append([]string{"-t", "mangle"}, strings.Fields(line)...)...)
	}
}
