package config

import (
	"fmt"
	"slices"
	"strings"
)

// An uplink's table is named after it, and these tables exist.
var tableNames = []string{"main", "local", "default", "unspec"}

const (
	longest = 15 // of names of uplinks and probes, and of links
	small   = "abcdefghijklmnopqrstuvwxyz0123456789"
	capital = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
)

// isName reports whether an uplink or a probe can have the name.
func isName(name string) bool { return madeOf(name, small+"_-") }

// madeOf reports whether a name has only such characters, and at least one.
func madeOf(name, characters string) bool {
	return len(name) > 0 && len(name) <= longest && strings.Trim(name, characters) == ""
}

// checkName says what is wrong with the name of an uplink or probe, and nothing when it is right.
func checkName(what, name string) (message, remedy string) {
	switch {
	case !isName(name):
		return fmt.Sprintf("%q cannot be the name of %s", name, article(what)),
			"use 1 to 15 of the characters a-z, 0-9, _ and -"
	case what == "uplink" && slices.Contains(tableNames, name):
		return fmt.Sprintf("the uplink's table cannot be named %q: that is a routing table of the kernel", name),
			"name the uplink otherwise; none may be called " + strings.Join(tableNames, ", ")
	}
	return "", ""
}

// checkLink says what is wrong with the name of an interface, and nothing when it is right.
func checkLink(name string) (message, remedy string) {
	switch {
	case !madeOf(name, small+capital+"._@+-") || strings.ContainsAny(name[:1], "._@+-"):
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

func article(what string) string {
	if what == "uplink" {
		return "an " + what
	}
	return "a " + what
}

// wrongName remembers a mistake in the uplink's name.
func (u fileUplink) wrongName(message, remedy string) {
	if message == "" {
		return
	}
	if u.head == nil {
		message, remedy = "the file's name is the uplink's: "+message, "rename the file: "+remedy
	}
	u.src.wrong(u.place(), message, remedy)
}
