package health_test

import (
	"testing"

	"replypath/health"
)

const yes, no, unknown = health.Yes, health.No, health.Unknown

func TestVerdictIsWhereTheReplyWent(t *testing.T) {
	host := health.ProofCheck{Result: no, Scope: health.HostScope, Cause: health.RuleMissing, Detail: "routes"}
	forwarded := health.ProofCheck{Result: no, Scope: health.ForwardedScope, Cause: health.RuleShadowed, Detail: "routes"}
	fine, silent := health.ProofCheck{Result: yes}, health.ProofCheck{Result: unknown, Cause: health.NoAnswer}
	unmarked := health.ProofCheck{Result: yes, Cause: health.Untracked, Detail: "trace"}
	lost := health.ProofCheck{Result: no, Cause: health.MarkNotRestored, Detail: "trace"}
	strays := health.ProofCheck{Result: no, Cause: health.StrayReplies, Detail: "strays"}
	for name, c := range map[string]struct {
		routes, trace, strays health.ProofCheck
		want                  health.Result
		cause                 health.Cause
		reason                string
	}{
		"all is right":                         {fine, fine, fine, yes, "", ""},
		"no counters":                          {fine, fine, health.ProofCheck{}, yes, "", ""},
		"no trace":                             {fine, health.ProofCheck{}, fine, unknown, "", ""},
		"no answer":                            {fine, silent, fine, unknown, health.NoAnswer, ""},
		"no mark, and the right interface":     {fine, unmarked, fine, yes, health.Untracked, ""},
		"look-ups for the host, and no trace":  {host, silent, fine, no, health.RuleMissing, "route lookup: routes"},
		"look-ups for the host, but no reply":  {host, fine, fine, yes, health.RuleMissing, ""},
		"look-ups for the host, and a warning": {host, unmarked, fine, yes, health.Untracked, ""},
		"look-ups for a LAN host":              {forwarded, fine, fine, no, health.RuleShadowed, "route lookup: routes"},
		"a stray trace":                        {host, lost, strays, no, health.MarkNotRestored, "traced reply: trace"},
		"stray connections":                    {fine, fine, strays, no, health.StrayReplies, "strays"},
		"stray connections, and no trace":      {fine, silent, strays, no, health.StrayReplies, "strays"},
	} {
		p := health.Proof{Routes: c.routes, Trace: c.trace, Strays: c.strays}
		result, reason := p.Result()
		if v := p.Verdict(); v.Result != c.want || v.Cause != c.cause || result != c.want || reason != c.reason {
			t.Errorf("%s: %+v, reason %q", name, v, reason)
		}
	}
}

func TestOverallResult(t *testing.T) {
	for want, results := range map[health.Result][]health.Result{yes: {yes, yes}, no: {yes, unknown, no}, unknown: {yes, unknown}} {
		if got := health.Overall(results); got != want {
			t.Errorf("%v: %s, want %s", results, got, want)
		}
	}
}

func TestMissingChecksAreUnknown(t *testing.T) {
	p := health.Proof{Trace: health.ProofCheck{Result: health.No}}.WithUnknown()
	if p.Routes.Result != health.Unknown || p.Trace.Result != health.No {
		t.Errorf("%+v", p)
	}
}

func TestProvenIsTheRoutingDecisionWhereNothingCanBeShown(t *testing.T) {
	notShown := health.ProofCheck{Result: unknown, Cause: health.TraceUnavailable}
	for want, proofs := range map[bool][]health.Proof{
		true: {{Routes: health.ProofCheck{Result: yes}, Trace: notShown}, {Trace: health.ProofCheck{Result: yes, Cause: health.Untracked}}},
		false: {{Routes: health.ProofCheck{Result: no}, Trace: notShown}, {Routes: health.ProofCheck{Result: unknown}, Trace: notShown}, {},
			{Routes: health.ProofCheck{Result: yes}, Trace: health.ProofCheck{Result: unknown, Cause: health.NoAnswer}},
			{Routes: health.ProofCheck{Result: yes}, Trace: notShown, Strays: health.ProofCheck{Result: no}}},
	} {
		for _, p := range proofs {
			if got := p.Proven(); got != want {
				t.Errorf("%+v: %v", p, got)
			}
		}
	}
}
