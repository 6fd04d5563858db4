package health_test

import (
	"strings"
	"testing"

	"replypath/health"
)

func TestResultOfAProof(t *testing.T) {
	const yes, no, unknown = health.Yes, health.No, health.Unknown
	for _, c := range []struct{ routes, trace, want health.Result }{
		{yes, yes, yes}, {yes, unknown, yes}, {unknown, yes, yes}, {unknown, unknown, unknown},
		{no, yes, no}, {yes, no, no}, {no, unknown, no}, {unknown, no, no}, {no, no, no},
	} {
		p := health.Proof{Routes: health.ProofCheck{Result: c.routes, Detail: "routes"}, Trace: health.ProofCheck{Result: c.trace, Cause: "trace"}}
		result, reason := p.Result()
		if result != c.want || (reason != "") != (c.want == no) {
			t.Errorf("routes %s, trace %s: %s %q, want %s", c.routes, c.trace, result, reason, c.want)
		}
		if c.routes == no && !strings.HasSuffix(reason, "routes") || c.routes != no && c.trace == no && !strings.HasSuffix(reason, "trace") {
			t.Errorf("routes %s, trace %s: the reason is %q", c.routes, c.trace, reason)
		}
	}
}

func TestMissingChecksAreUnknown(t *testing.T) {
	p := health.Proof{Trace: health.ProofCheck{Result: health.No}}.WithUnknown()
	if p.Routes.Result != health.Unknown || p.Trace.Result != health.No {
		t.Errorf("%+v", p)
	}
}
