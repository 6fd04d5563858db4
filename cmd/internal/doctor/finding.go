// Package doctor diagnoses a snapshot of a host: it reports what would break the reply path, and a remedy for each. It does
// no I/O.
package doctor

import (
	"fmt"
	"slices"
	"strings"

	"replypath/uplinks/inspect"
)

// Severity is the severity of a finding.
type Severity string

// An Error breaks the reply path. A Warning may break it, or prevents its proof. A Note needs no action.
const (
	Error   Severity = "error"
	Warning Severity = "warning"
	Note    Severity = "note"
)

// Severities lists all severities, the highest first.
var Severities = [...]Severity{Error, Warning, Note}

// Finding is one problem, or one noteworthy fact, of a host.
type Finding struct {
	ID       string   `json:"id"` // the kind of finding: a stable identifier
	Severity Severity `json:"severity"`
	Message  string   `json:"what"`
	Evidence []string `json:"evidence"` // lines and values as read
	Remedy   string   `json:"remedy"`
	// Commands carry the remedy out, in this order: they can be pasted.
	Commands []string `json:"commands,omitempty"`
	Fixable  bool     `json:"fixable"` // doctor --fix does it
}

// Skipped is a check that could not be made, and why.
type Skipped struct {
	Subject string `json:"what"`
	Reason  string `json:"why"`
}

// Diagnose returns all findings, sorted by severity, and by the order of the checks here.
func Diagnose(s Snapshot) []Finding {
	all := slices.Concat(
		s.checkPrerequisites(), s.checkUnconfigured(),
		s.checkRuleMarks(), s.checkFirewallMarks(), s.checkConnectionMarks(), s.checkRemovedMarks(), s.checkMismarked(), s.checkMarkRules(),
		s.checkRulePriorities(), s.checkOutboundRules(), s.checkForeignSources(), s.checkDoubledNAT(), s.checkExemptions(), s.checkMissingNAT(),
		s.checkSpreading(), s.checkDefaultRoutes(), s.checkInterceptRules(), s.checkWipedMarks(), s.checkDivertedFirst(), s.checkTables(),
		s.checkSettings(), s.checkRPFilter(), s.checkSrcValidMark(), s.checkFirewallSourceCheck(), s.checkUDPServers(),
		s.checkKernelListeners(), s.checkBackends(), s.checkSavedRulesets(), s.checkNetworkd(), s.checkFlowOffload(), s.checkAcceleration(),
		s.checkNotrack(), s.checkQueues(), s.checkStatelessTranslation(), s.checkLoopbackDNAT(), s.checkConntrackSize(), s.checkLinks(),
		s.checkSharedLinks(), s.checkLinkGroups(), s.checkEgress(), s.checkEarlierPrograms(), s.checkProofSupport(),
	)
	for i := range all {
		if all[i].Evidence == nil {
			all[i].Evidence = []string{}
		}
	}
	slices.SortStableFunc(all, func(a, b Finding) int { return a.Severity.rank() - b.Severity.rank() })
	return all
}

// DiagnoseSharing returns the errors and warnings about what replypath and the other programs of the host both use in the
// firewall: mark bits and link groups. They show before replypath is applied too.
func DiagnoseSharing(s Snapshot) []Finding {
	all := slices.Concat(s.checkFirewallMarks(), s.checkWipedMarks(), s.checkLinkGroups(), s.checkSavedRulesets())
	return slices.DeleteFunc(all, func(f Finding) bool { return f.Severity == Note })
}

func (s Severity) rank() int { return slices.Index(Severities[:], s) }

// OnlyNotes reports whether there are no errors and no warnings.
func OnlyNotes(all []Finding) bool {
	return !slices.ContainsFunc(all, func(f Finding) bool { return f.Severity != Note })
}

// ownerName returns the owner's name for use in a sentence.
func ownerName(owner string) string {
	if owner == "" {
		return "an unknown program"
	}
	return owner
}

// limitEvidence cuts a long list of evidence.
func limitEvidence(lines []string) []string {
	const enough = 8
	if len(lines) <= enough {
		return lines
	}
	return append(slices.Clone(lines[:enough]), fmt.Sprintf("and %d more", len(lines)-enough))
}

// withEvidence returns the findings with evidence, of which it cuts long lists.
func withEvidence(some ...Finding) (all []Finding) {
	for _, f := range some {
		if len(f.Evidence) > 0 {
			f.Evidence = limitEvidence(f.Evidence)
			all = append(all, f)
		}
	}
	return all
}

func commaList(words []string) string { return strings.Join(words, ", ") }

// checkSettings returns the findings of plan and check, except those about foreign rules and backends, which have checks of
// their own here.
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
