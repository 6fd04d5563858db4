package config

import (
	"fmt"
	"slices"
	"strings"

	"replypath/uplinks"
)

const (
	maxNameLen = 15  // of uplinks and probes
	maxAltName = 127 // of alternative names of interfaces (ALTIFNAMSIZ - 1)
	lowerAlnum = "abcdefghijklmnopqrstuvwxyz0123456789"
	upper      = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
)

// isName reports whether the name is valid for an uplink or a probe.
func isName(name string) bool { return hasOnly(name, lowerAlnum+"_-", maxNameLen) }

// hasOnly reports whether a name has 1 to limit of the characters, and no others.
func hasOnly(name, characters string, limit int) bool {
	return len(name) > 0 && len(name) <= limit && strings.Trim(name, characters) == ""
}

// checkName returns what is wrong with the name of an uplink or probe, or "".
func checkName(kind, name string) (message, remedy string) {
	switch {
	case !isName(name):
		return fmt.Sprintf("%q is not a valid %s name", name, kind),
			"use 1 to 15 of the characters a-z, 0-9, _ and -"
	case kind == "uplink" && slices.Contains(uplinks.ReservedTableNames(), name):
		return fmt.Sprintf("uplink name %q is the name of one of the kernel's routing tables", name),
			"use a name other than " + strings.Join(uplinks.ReservedTableNames(), ", ")
	}
	return "", ""
}

// checkInterface returns what is wrong with the name or alternative name of an interface, or "".
func checkInterface(name string) (message, remedy string) {
	switch {
	case !hasOnly(name, lowerAlnum+upper+"._@+-", maxAltName) || strings.ContainsAny(name[:1], "._@+-"):
		return fmt.Sprintf("%q is not a valid interface name", name),
			"use 1 to 15 (of an alternative name: 127) of the characters A-Z, a-z, 0-9, . _ @ + and -, beginning with a letter or digit"
	case strings.HasSuffix(name, "+"):
		return fmt.Sprintf("interface name %q ends in +", name),
			"name one interface without + at the end, which iptables reads as a prefix of many"
	case name == "lo":
		return `"lo" is the loopback interface`, "name the interface that leads to the gateway"
	}
	return "", ""
}

// checkUplinkInterface returns what is wrong with the interface of an uplink, which may be a pattern, or "".
func checkUplinkInterface(name string) (message, remedy string) {
	start, isPattern := strings.CutSuffix(name, "*")
	switch {
	case strings.HasSuffix(name, "+"):
		return fmt.Sprintf("interface name %q ends in +", name),
			fmt.Sprintf("name one interface, or write %q for the one that is there", strings.TrimRight(name, "+")+"*")
	case isPattern && start == "":
		return fmt.Sprintf("interface %q would be any one", name), `begin it with letters, as in "ppp*"`
	case strings.Contains(start, "*"):
		return fmt.Sprintf("interface %q has a * that is not at its end", name), `write * at the end only, as in "ppp*"`
	case isPattern && len(start) >= uplinks.MaxLinkName:
		return fmt.Sprintf("no interface name is as long as %q", name), `write a shorter one, as in "ppp*"`
	case isPattern && start == "lo":
		return "", "" // the loopback interface itself is never used
	}
	return checkInterface(start)
}

// reportName reports a mistake in the uplink's name.
func (u fileUplink) reportName(message, remedy string) {
	if message == "" {
		return
	}
	if u.header == nil {
		message, remedy = "the file name is the uplink's name: "+message, "rename the file: "+remedy
	}
	u.src.addMistake(u.nameRange(), message, remedy)
}
