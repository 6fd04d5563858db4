package daemon

import (
	"cmp"
	"maps"

	"replypath/uplinks"
)

// recordSteps logs and reports the steps that were executed, and returns the repairs among them. The cause of the settings
// ends with the first round that executes all steps.
func (r *Reconciler) recordSteps(act, done, repeated uplinks.Plan, reason string, changed func() map[any]bool, scopes []uplinks.ChangedScope) (repairs uplinks.Plan) {
	cause := r.cause
	if len(done) == len(act) && !r.between {
		r.cause = ""
	}
	if len(act) == 0 {
		return nil
	}
	fresh := changed()
	maps.Copy(fresh, r.unfinished)
	follow, repairs := splitRepairs(done, fresh)
	r.unfinished = nil
	if len(done) < len(act) {
		for _, s := range done {
			delete(fresh, objectKey(s))
		}
		r.unfinished = fresh
	}
	why := reasonText(reason)
	if len(repairs) > 0 {
		r.reportRepairs(repairs, repeated, why, scopes)
	}
	if len(follow) > 0 {
		why = cmp.Or(cause, why)
		r.logSteps(follow, why)
		r.listener.Followed(follow, why, scopes)
	}
	return repairs
}

// recordFollowed logs and reports steps that were executed without reading the kernel, as the desired state has changed.
func (r *Reconciler) recordFollowed(done uplinks.Plan, why string) {
	r.addSteps(done, nil)
	if len(done) > 0 {
		r.logSteps(done, why)
		r.listener.Followed(done, why, []uplinks.ChangedScope{{}})
	}
}

// reportRepairs logs and reports repairs. Of those that are repeated in a fight with another program neither the log nor the
// events tell.
func (r *Reconciler) reportRepairs(repairs, repeated uplinks.Plan, why string, scopes []uplinks.ChangedScope) {
	logged := withoutSteps(repairs, repeated)
	r.logSteps(logged, why)
	r.listener.Repaired(logged, why, scopes)
}

func (r *Reconciler) logSteps(steps uplinks.Plan, why string) {
	for _, s := range steps {
		r.log.Info("changed", "step", stepLine(s), "why", why)
		if text := s.String(); text != firstLine(text) {
			r.log.Debug("changed by these commands", "commands", text)
		}
	}
}

// logContested logs repairs that the back-off delays from now on.
func (r *Reconciler) logContested(contested uplinks.Plan, suspects map[string]string) {
	for _, s := range contested {
		r.log.Warn("another program undoes this repair again and again: it is repeated every "+longestDelay(s).String()+" at most", "repair", stepLine(s),
			"suspect", cmp.Or(suspects[eventSubject(s)], "unknown"), "remedy", "stop or reconfigure that program")
	}
}
