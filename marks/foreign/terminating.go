package foreign

import (
	"regexp"
	"slices"
	"strings"
)

// nonTerminatingTargets are the targets after which the traversal continues with the next rule
// (iptables-extensions(8)).
var nonTerminatingTargets = []string{
	"AUDIT", "CHECKSUM", "CLASSIFY", "CONNMARK", "CONNSECMARK", "CT", "DSCP", "ECN", "HL", "HMARK", "IDLETIMER", "LED",
	"LOG", "MARK", "NFLOG", "NOTRACK", "RATEEST", "SECMARK", "SET", "TCPMSS", "TCPOPTSTRIP", "TEE", "TOS", "TRACE", "TTL", "ULOG",
}

// Continues reports whether the traversal goes on with the next rule after this target of iptables.
func Continues(target string) bool { return slices.Contains(nonTerminatingTargets, target) }

// quotedText matches free text, such as a comment, which may contain the names of options and targets.
var quotedText = regexp.MustCompile(`"(\\.|[^"\\])*"`)

// Terminates reports whether a rule can end the traversal of a built-in chain. The rules are as iptables -S prints
// them: -A CHAIN ... Unknown targets can end it, and so can a rule without options: iptables-nft prints rules that it
// cannot decode so. chainRules returns the rules of a user-defined chain, and nil if the chain does not exist: the name
// is then a target.
func Terminates(rules []string, chainRules func(chain string) []string) bool {
	return terminates(rules, chainRules, nil)
}

// terminates implements Terminates for the rules of a chain that was reached by the jumps of stack.
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
	target, ok := option(words, "-j")
	switch {
	case !ok, slices.Contains(nonTerminatingTargets, target), slices.Contains(stack, target):
		return false
	case target == "RETURN":
		// RETURN in a built-in chain applies the policy.
		return len(stack) == 0
	}
	called := chainRules(target)
	return len(called) == 0 || terminates(called, chainRules, append(stack, target))
}
