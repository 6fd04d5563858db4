// Package prover runs proofs of reply paths. A proof injects requests on the interfaces of the uplinks, as if the peers of
// package proof had sent them, and captures the replies.
package prover

import (
	"cmp"
	"context"
	"slices"
	"time"

	"replypath/cmd/internal/host"
	"replypath/health"
	"replypath/health/proof"
	"replypath/uplinks"
	"replypath/uplinks/rtnl"
)

// Prover proves reply paths in the network namespace of the caller. Safe for concurrent use: a proof waits while another
// one runs, in this process or another.
type Prover struct {
	Rules *RuleCache // nil: the rules are read for each proof
}

// InvalidateRules makes the next proof read the firewall rules of other programs again.
func (p Prover) InvalidateRules() { p.Rules.Invalidate() }

// InvalidateRoutes makes the next proof read the routes and IPsec policies of other programs again.
func (p Prover) InvalidateRoutes() { p.Rules.InvalidateRoutes() }

// Prove proves all paths. It looks up the routes of their replies, injects requests and captures the replies. It leaves
// nothing behind, and takes no lock of the host.
func (p Prover) Prove(ctx context.Context, s health.Settings, paths []health.Path) ([]proof.PathResult, error) {
	facts, err := host.ReadFacts(ctx)
	if err != nil {
		return nil, err
	}
	return p.ProveSubset(ctx, s, facts, paths, paths)
}

// ProveSubset proves some of the paths of a host whose facts are recent. It reads what only explains a verdict, such as the
// rules, when there is one that needs it.
func (p Prover) ProveSubset(ctx context.Context, s health.Settings, facts uplinks.Facts, paths, subset []health.Path) ([]proof.PathResult, error) {
	router, err := rtnl.OpenRouteGetter()
	if err != nil {
		return nil, err
	}
	defer router.Close()
	r, err := newRun(ctx, facts, router, p.Rules, s, paths, subset)
	if err != nil {
		return nil, err
	}
	r.rules = p.Rules.get(ctx)
	r.lookUpRoutes(subset)
	t, traceErr := r.trace(ctx)
	results := r.evaluate(proof.Snapshot{Facts: facts}, subset, &t, traceErr)
	if !slices.ContainsFunc(results, needsExplanation) {
		return results, nil
	}
	explained, err := r.readExplanation(ctx)
	if err != nil {
		return nil, err
	}
	if traceErr == nil && r.traceFirewall(ctx, p.Rules, explained, results, &t) != nil {
		// A firewall that cannot be traced leaves the verdicts without the names of its rules.
		t.observations.Output.Steps = nil
	}
	t.grouped = nil
	return r.evaluate(explained, subset, &t, traceErr), nil
}

// needsExplanation reports whether the proof of a path that can be proven has a verdict other than a plain yes. A request that
// the firewall drops needs none while others are answered.
func needsExplanation(r proof.PathResult) bool {
	doubtful := func(c health.ProofCheck) bool { return c.Result != health.Yes || c.Warning() }
	failed := func(q proof.RequestResult) bool {
		return q.ReplyLost || q.Undelivered && q.Request.Kind == proof.Service || q.Check.Result == health.No || q.Check.Warning()
	}
	traced := len(r.Requests) > 0 && doubtful(r.Trace)
	return isUsable(r.Path) && (doubtful(r.Routes) || traced || slices.ContainsFunc(r.Requests, failed))
}

// isUsable reports whether requests can be injected for the path.
func isUsable(p health.Path) bool { _, unusable := proof.Unusable(p); return !unusable }

// pathResults returns the result of each path of the subset.
func (r *run) pathResults(subset []health.Path, routes map[health.Key]health.ProofCheck, requests map[health.Key][]proof.RequestResult, traceErr error) (results []proof.PathResult) {
	for _, p := range subset {
		result := proof.PathResult{Path: p, At: time.Now(), Routes: routes[p.Key], Requests: requests[p.Key]}
		switch check, unusable := proof.Unusable(p); {
		case unusable:
			result.Trace = check
		case len(result.Requests) == 0 || traceErr != nil:
			result.Trace = proof.Inconclusive(cmp.Or(traceErr, errNoPeer))
		default:
			result.Trace = proof.Summarize(result.Requests)
		}
		results = append(results, result)
	}
	return results
}
