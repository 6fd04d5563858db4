package marks

import (
	"regexp"
	"slices"
	"strings"
)

// passing are the targets after which a packet goes on to the next rule (iptables-extensions(8)).
var passing = []string{
	"AUDIT", "CHECKSUM", "CLASSIFY", "CONNMARK", "CONNSECMARK", "CT", "DSCP", "ECN", "HL", "HMARK", "IDLETIMER", "LED",
	"LOG", "MARK", "NFLOG", "NOTRACK", "RATEEST", "SECMARK", "SET", "TCPMSS", "TCPOPTSTRIP", "TEE", "TOS", "TRACE", "TTL", "ULOG",
}

// quoted is text of people's, such as a comment, which may speak of targets.
var quoted = regexp.MustCompile(`"(\\.|[^"\\])*"`)

// Ends reports whether a packet's walk can end at one of a built-in chain's rules, which are as iptables -S prints
// them: -A CHAIN ... What is not known to pass packets on can end it, and so can a line that says nothing, for that is
// how iptables-nft shows a rule that it cannot read. list gives the rules of a chain that is jumped to, and nothing
// when there is no such chain.
func Ends(rules []string, list func(chain string) []string) bool {
	return ends(rules, list, nil)
}

func ends(rules []string, list func(string) []string, path []string) bool {
	for _, rule := range rules {
		words := strings.Fields(quoted.ReplaceAllString(rule, "-"))
		if len(words) < 2 || words[0] != "-A" {
			continue
		}
		if len(words) == 2 || slices.Contains(words, "-g") || targetEnds(words, list, path) {
			return true
		}
	}
	return false
}

func targetEnds(words []string, list func(string) []string, path []string) bool {
	at := slices.Index(words, "-j")
	if at < 0 || at+1 == len(words) {
		return false
	}
	target := words[at+1]
	switch {
	case slices.Contains(passing, target), slices.Contains(path, target):
		return false
	case target == "RETURN":
		// From a chain that was jumped to it goes back; in a built-in chain it ends the walk.
		return len(path) == 0
	}
	inner := list(target)
	return len(inner) == 0 || ends(inner, list, append(path, target))
}
