package xtables

import (
	"fmt"
	"os"
	"slices"
	"strings"
)

// groupNames is where link groups get names, which iptables then prints instead of numbers.
const groupNames = "/etc/iproute2/group"

func readGroups() map[string]uint32 {
	groups := map[string]uint32{}
	text, err := os.ReadFile(groupNames)
	if err != nil {
		return groups
	}
	for line := range strings.Lines(string(text)) {
		var n uint32
		var name string
		if _, err := fmt.Sscanf(line, "%v %s", &n, &name); err == nil {
			groups[name] = n
		}
	}
	return groups
}

func (t *Table) numberGroups(rule string) string {
	words := strings.Fields(rule)
	at := slices.Index(words, "--src-group")
	if at < 0 || at+1 == len(words) {
		return rule
	}
	if n, named := t.groups[words[at+1]]; named {
		words[at+1] = fmt.Sprintf("%#x", n)
	}
	return strings.Join(words, " ")
}
