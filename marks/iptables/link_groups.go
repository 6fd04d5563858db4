package iptables

import (
	"fmt"
	"os"
	"slices"
	"strings"
)

// linkGroupFile names link groups. iptables prints these names instead of numbers.
const linkGroupFile = "/etc/iproute2/group"

// readLinkGroups returns the numbers of named link groups.
func readLinkGroups() map[string]uint32 {
	groups := map[string]uint32{}
	text, err := os.ReadFile(linkGroupFile)
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

// numericGroups replaces the name of a link group in a rule by its number.
func (t *Table) numericGroups(rule string) string {
	words := strings.Fields(rule)
	index := slices.IndexFunc(words, func(w string) bool { return w == "--src-group" || w == "--dst-group" })
	if index < 0 || index+1 == len(words) {
		return rule
	}
	if n, named := t.linkGroups[words[index+1]]; named {
		words[index+1] = fmt.Sprintf("%#x", n)
	}
	return strings.Join(words, " ")
}
