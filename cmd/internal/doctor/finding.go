// Package doctor names what on a host would break the reply path, and what to do about it. It is pure: package host sees
// how things are.
package doctor

import (
	"fmt"
	"slices"
	"strings"

	"replypath/uplinks"
)

// Severity is how much a finding matters.
type Severity string

// An Error takes replies off their path, a Warning may do so or takes the proof of it away, a Note is good to know.
const (
	Error   Severity = "error"
	Warning Severity = "warning"
	Note    Severity = "note"
)

// Severities are all, the gravest first.
var Severities = [...]Severity{Error, Warning, Note}

// Finding is one thing on the host.
type Finding struct {
	ID       string   `json:"id"` // the kind of finding: stable words
	Severity Severity `json:"severity"`
	What     string   `json:"what"`
	Evidence []string `json:"evidence"` // lines and values as they were seen
	Remedy   string   `json:"remedy"`
	Fixable  bool     `json:"fixable"` // doctor --fix does it
}

// Unseen is what could not be looked at.
type Unseen struct {
	What string `json:"what"`
	Why  string `json:"why"`
}

// Diagnose is all that there is to say, the gravest first.
func Diagnose(s Seen) []Finding {
	all := slices.Concat(
		s.missing(), s.marksInRules(), s.marksInFirewall(), s.marksInConnections(), s.rivals(), s.tables(),
		s.settings(), s.sourceCheck(), s.srcValidMark(), s.firewallCheck(), s.udp(), s.tunnels(), s.backends(),
		s.savedRules(), s.networkd(), s.offload(), s.untracked(), s.connections(), s.links(), s.proofs(),
	)
	for i := range all {
		if all[i].Evidence == nil {
			all[i].Evidence = []string{}
		}
	}
	slices.SortStableFunc(all, func(a, b Finding) int { return a.Severity.rank() - b.Severity.rank() })
	return all
}

func (s Severity) rank() int { return slices.Index(Severities[:], s) }

// Well reports whether there is nothing above a note.
func Well(all []Finding) bool {
	return !slices.ContainsFunc(all, func(f Finding) bool { return f.Severity != Note })
}

// someone names an owner in a sentence.
func someone(owner string) string {
	if owner == "" {
		return "a program that is not known"
	}
	return owner
}

// some keeps a long list of evidence short.
func some(lines []string) []string {
	const enough = 8
	if len(lines) <= enough {
		return lines
	}
	return append(slices.Clone(lines[:enough]), fmt.Sprintf("and %d more", len(lines)-enough))
}

func list(words []string) string { return strings.Join(words, ", ") }

// settings are what plan and check say, but for what has findings of its own here.
func (s Seen) settings() (all []Finding) {
	facts := s.Facts
	facts.Others, facts.Both = nil, false
	for _, f := range uplinks.Findings(s.Settings, facts) {
		all = append(all, Finding{ID: "uplinks", Severity: Warning, What: f.What, Remedy: f.Remedy})
	}
	for _, f := range s.Watched {
		all = append(all, Finding{ID: "probes", Severity: Note, What: f.What, Remedy: f.Remedy})
	}
	return all
}
