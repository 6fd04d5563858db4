package config

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
)

var (
	nameForm = regexp.MustCompile(`^[a-z0-9_-]{1,15}$`)
	linkForm = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._@+-]{0,14}$`)

	// An uplink's table is named after it, and these tables exist.
	tableNames = []string{"main", "local", "default", "unspec"}
)

// checkName says what is wrong with the name of an uplink or probe, and nothing when it is right.
func checkName(what, name string) (message, remedy string) {
	switch {
	case !nameForm.MatchString(name):
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
	case !linkForm.MatchString(name):
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
