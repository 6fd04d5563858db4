// Package doctor names what on a host would break the reply path, and what to do about it. It is pure: package host sees
// how things are.
package doctor

import (
	"fmt"
	"slices"
	"strings"

	"replypath/uplinks/inspect"
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
	Message  string   `json:"what"`
	Evidence []string `json:"evidence"` // lines and values as they were seen
	Remedy   string   `json:"remedy"`
	Fixable  bool     `json:"fixable"` // doctor --fix does it
}

// Skipped is what could not be looked at.
type Skipped struct {
	Subject string `json:"what"`
	Reason  string `json:"why"`
}

// Diagnose is all that there is to say, the gravest first.
func Diagnose(s Snapshot) []Finding {
	all := slices.Concat(
		s.checkPrerequisites(), s.checkRuleMarks(), s.checkFirewallMarks(), s.checkConnectionMarks(), s.checkRulePriorities(), s.checkTables(),
		s.checkSettings(), s.checkRPFilter(), s.checkSrcValidMark(), s.checkFirewallSourceCheck(), s.checkUDPServers(), s.checkKernelListeners(), s.checkBackends(),
		s.checkSavedRulesets(), s.checkNetworkd(), s.checkFlowOffload(), s.checkNotrack(), s.checkConntrackSize(), s.checkLinks(), s.checkProofSupport(),
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

// OnlyNotes reports whether there is nothing above a note.
func OnlyNotes(all []Finding) bool {
	return !slices.ContainsFunc(all, func(f Finding) bool { return f.Severity != Note })
}

// ownerName names an owner in a sentence.
func ownerName(owner string) string {
	if owner == "" {
		return "a program that is not known"
	}
	return owner
}

// limitEvidence keeps a long list of evidence short.
func limitEvidence(lines []string) []string {
	const enough = 8
	if len(lines) <= enough {
		return lines
	}
	return append(slices.Clone(lines[:enough]), fmt.Sprintf("and %d more", len(lines)-enough))
}

func commaList(words []string) string { return strings.Join(words, ", ") }

// checkSettings are what plan and check say, but for what has findings of its own here.
func (s Snapshot) checkSettings() (all []Finding) {
	facts := s.Facts
	facts.ForeignRules, facts.MixedBackends = nil, false
	for _, f := range inspect.Findings(s.Settings, facts) {
		all = append(all, Finding{ID: "uplinks", Severity: Warning, Message: f.What, Remedy: f.Remedy})
	}
	for _, f := range s.ProbeFindings {
		all = append(all, Finding{ID: "probes", Severity: Note, Message: f.What, Remedy: f.Remedy})
	}
	return all
}
