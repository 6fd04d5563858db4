package daemon

import (
	"fmt"
	"strings"

	"replypath/uplinks"
)

// Why the desired state changes with the settings.
const (
	causeStart    = "at start"
	causeReload   = "by reload"
	causeRollback = "unconfirmed change taken back"
)

// desiredChanges returns the objects whose desired state differs from before, by objectKey.
func desiredChanges(desired, before uplinks.State) map[any]bool {
	changed := map[any]bool{}
	for _, s := range uplinks.Diff(desired, before).WithoutPause() {
		changed[objectKey(s)] = true
	}
	for t, value := range desired.Tunables {
		if before.Tunables[t] != value {
			changed[t] = true
		}
	}
	return changed
}

// splitRepairs divides steps into those for objects whose desired state has changed, and repairs, which revert changes by
// other programs.
func splitRepairs(steps uplinks.Plan, changed map[any]bool) (follow, repairs uplinks.Plan) {
	for _, s := range steps {
		if changed[objectKey(s)] {
			follow = append(follow, s)
		} else {
			repairs = append(repairs, s)
		}
	}
	return follow, repairs
}

// withoutSteps returns the steps of the plan that are not in the other one.
func withoutSteps(plan, other uplinks.Plan) (rest uplinks.Plan) {
	if len(other) == 0 {
		return plan
	}
	omit := make(map[string]bool, len(other))
	for _, s := range other {
		omit[stepKey(s)] = true
	}
	for _, s := range plan {
		if !omit[stepKey(s)] {
			rest = append(rest, s)
		}
	}
	return rest
}

// objectKey identifies the object that the step writes. The chains of one firewall are one object.
func objectKey(s uplinks.Step) any {
	switch s := s.(type) {
	case uplinks.SetTunable:
		return s.Tunable
	case uplinks.SetRoute:
		return s.Key
	case uplinks.DelRoute:
		return s.Key
	case uplinks.AddRule:
		return s.Rule
	case uplinks.DelRule:
		return s.Rule
	case uplinks.LoadChains:
		return s.Firewall
	}
	return s.String()
}

// reasonText returns the reason for a round as part of a sentence.
func reasonText(reason string) string {
	switch reason {
	case "timer":
		return "found by the regular check"
	case "request":
		return "found at a request"
	}
	return "because of " + reason
}

// stepLine returns a step in one line: of chains, which are many commands, the first one and the number of the others.
func stepLine(s uplinks.Step) string {
	text := s.String()
	more := strings.Count(text, "\n")
	if more == 0 {
		return text
	}
	return fmt.Sprintf("%s (and %d more commands for %s)", firstLine(text), more, s.Kind())
}
