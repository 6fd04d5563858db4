package config

import (
	"fmt"
	"slices"
	"strings"
)

// An uplink's table is named after it, and these tables exist.
var reservedTableNames = []string{"main", "local", "default", "unspec"}

const (
	maxNameLen = 15 // of names of uplinks and probes, and of links
	lowerAlnum = "abcdefghijklmnopqrstuvwxyz0123456789"
	upper      = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
)

// isName reports whether an uplink or a probe can have the name.
func isName(name string) bool { return hasOnly(name, lowerAlnum+"_-") }

// hasOnly reports whether a name has only such characters, and at least one.
func hasOnly(name, characters string) bool {
	return len(name) > 0 && len(name) <= maxNameLen && strings.Trim(name, characters) == ""
}

// checkName says what is wrong with the name of an uplink or probe, and nothing when it is right.
func checkName(kind, name string) (message, remedy string) {
	switch {
	case !isName(name):
		return fmt.Sprintf("%q cannot be the name of %s", name, withArticle(kind)),
			"use 1 to 15 of the characters a-z, 0-9, _ and -"
	case kind == "uplink" && slices.Contains(reservedTableNames, name):
		return fmt.Sprintf("the uplink's table cannot be named %q: that is a routing table of the kernel", name),
			"name the uplink otherwise; none may be called " + strings.Join(reservedTableNames, ", ")
	}
	return "", ""
}

// checkInterface says what is wrong with the name of an interface, and nothing when it is right.
func checkInterface(name string) (message, remedy string) {
	switch {
	case !hasOnly(name, lowerAlnum+upper+"._@+-") || strings.ContainsAny(name[:1], "._@+-"):
		return fmt.Sprintf("%q cannot be the name of an interface", name),
			"use 1 to 15 of the characters A-Z, a-z, 0-9, . _ @ + and -, beginning with a letter or digit"
	case strings.HasSuffix(name, "+"):
		return fmt.Sprintf("the interface name %q ends in +", name),
			"name one interface, without + at its end: iptables reads that as every interface that begins so"
	case name == "lo":
		return `"lo" leads to the host itself only`, "name the interface that leads to the router"
	}
	return "", ""
}

func withArticle(kind string) string {
	if kind == "uplink" {
		return "an " + kind
	}
	return "a " + kind
}

// reportName remembers a mistake in the uplink's name.
func (u fileUplink) reportName(message, remedy string) {
	if message == "" {
		return
	}
	if u.header == nil {
		message, remedy = "the file's name is the uplink's: "+message, "rename the file: "+remedy
	}
	u.src.addMistake(u.nameRange(), message, remedy)
}
