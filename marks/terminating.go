package marks

import (
	"regexp"
	"slices"
	"strings"
)

// nonTerminatingTargets are the targets after which a packet goes on to the next rule (iptables-extensions(8)).
var nonTerminatingTargets = []string{
	"AUDIT", "CHECKSUM", "CLASSIFY", "CONNMARK", "CONNSECMARK", "CT", "DSCP", "ECN", "HL", "HMARK", "IDLETIMER", "LED",
	"LOG", "MARK", "NFLOG", "NOTRACK", "RATEEST", "SECMARK", "SET", "TCPMSS", "TCPOPTSTRIP", "TEE", "TOS", "TRACE", "TTL", "ULOG",
}

// quotedText is text of people's, such as a comment, which may speak of targets.
var quotedText = regexp.MustCompile(`"(\\.|[^"\\])*"`)

// Terminates reports whether a packet's walk can end at one of a built-in chain's rules, which are as iptables -S prints
// them: -A CHAIN ... What is not known to pass packets on can end it, and so can a line that says nothing, for that is
// how iptables-nft shows a rule that it cannot read. list gives the rules of a chain that is jumped to, and nothing
// when there is no such chain.
func Terminates(rules []string, chainRules func(chain string) []string) bool {
	return terminates(rules, chainRules, nil)
}

func terminates(rules []string, chainRules func(string) []string, stack []string) bool {
	for _, rule := range rules {
		words := strings.Fields(quotedText.ReplaceAllString(rule, "-"))
		if len(words) < 2 || words[0] != "-A" {
			continue
		}
		if len(words) == 2 || slices.Contains(words, "-g") || targetTerminates(words, chainRules, stack) {
			return true
		}
	}
	return false
}

func targetTerminates(words []string, chainRules func(string) []string, stack []string) bool {
	index := slices.Index(words, "-j")
	if index < 0 || index+1 == len(words) {
		return false
	}
	target := words[index+1]
	switch {
	case slices.Contains(nonTerminatingTargets, target), slices.Contains(stack, target):
		return false
	case target == "RETURN":
		// From a chain that was jumped to it goes back; in a built-in chain it ends the walk.
		return len(stack) == 0
	}
	called := chainRules(target)
	return len(called) == 0 || terminates(called, chainRules, append(stack, target))
}
