// Package prover runs proofs of reply paths. A proof injects requests on the interfaces of the uplinks, as if the peers of
// package proof had sent them, and captures the replies.
package prover

import (
	"cmp"
	"context"
	"slices"
	"time"

	"replypath/cmd/internal/host"
	"replypath/cmd/internal/iproute"
	"replypath/cmd/internal/systemd"
	"replypath/health"
	"replypath/health/proof"
	"replypath/uplinks"
	"replypath/uplinks/procfs"
	"replypath/uplinks/rtnl"
)

// Prover proves reply paths in the network namespace of the caller. Safe for concurrent use: a proof waits while another
// one runs, in this process or another.
type Prover struct{}

// Prove proves all paths. It looks up the routes of their replies, injects requests and captures the replies. It leaves
// nothing behind, and takes no lock of the host.
func (Prover) Prove(ctx context.Context, s health.Settings, paths []health.Path) ([]proof.PathResult, error) {
	return prove(ctx, s, paths, paths, fullSnapshot{paths})
}

// ProveSubset proves some of the paths of a host whose facts are recent. It reads what only explains a failure, such as
// the rules, when there is one, and then proves the subset again.
func (Prover) ProveSubset(ctx context.Context, s health.Settings, facts uplinks.Facts, paths, subset []health.Path) ([]proof.PathResult, error) {
	results, err := prove(ctx, s, paths, subset, knownFacts{facts})
	usable := slices.DeleteFunc(slices.Clone(results), func(r proof.PathResult) bool { return !isUsable(r.Path) })
	if err == nil && proof.Overall(usable) == health.Yes {
		return results, nil
	}
	return prove(ctx, s, paths, subset, fullSnapshot{subset})
}

// isUsable reports whether requests can be injected for the path.
func isUsable(p health.Path) bool { _, unusable := proof.Unusable(p); return !unusable }

// snapshotter returns what a proof knows of the host.
type snapshotter interface {
	snapshot(ctx context.Context, links *rtnl.Handle) (proof.Snapshot, error)
}

// knownFacts is a snapshot without what explains failures.
type knownFacts struct{ facts uplinks.Facts }

func (k knownFacts) snapshot(context.Context, *rtnl.Handle) (proof.Snapshot, error) {
	return proof.Snapshot{Facts: k.facts}, nil
}

// fullSnapshot reads everything that a verdict on the paths can name.
type fullSnapshot struct{ paths []health.Path }

func (f fullSnapshot) snapshot(ctx context.Context, links *rtnl.Handle) (proof.Snapshot, error) {
	facts, state, err := host.ReadKernel(ctx, links)
	sysctls := proof.Sysctls(f.paths)
	return proof.Snapshot{Facts: facts, Rules: state.Rules, Routes: state.Routes, Values: procfs.Values(sysctls),
		SetBy: systemd.SysctlSources("/", sysctls), Names: iproute.Names()}, err
}

// prove proves the subset of the paths.
func prove(ctx context.Context, s health.Settings, paths, subset []health.Path, source snapshotter) ([]proof.PathResult, error) {
	links, err := rtnl.Open(0)
	if err != nil {
		return nil, err
	}
	defer links.Close()
	router, err := rtnl.OpenRouteGetter()
	if err != nil {
		return nil, err
	}
	defer router.Close()
	snapshot, err := source.snapshot(ctx, links)
	if err != nil {
		return nil, err
	}
	r, err := newRun(ctx, snapshot, router, s, paths, subset)
	if err != nil {
		return nil, err
	}
	routes := map[health.Key]health.ProofCheck{}
	for _, p := range subset {
		routes[p.Key] = r.checkRoutes(p)
	}
	trace, traceErr := r.trace(ctx)
	requests := map[health.Key][]proof.RequestResult{}
	for _, result := range snapshot.CheckTraces(trace.requests, trace.observations, routes) {
		k := result.Request.Path.Key
		requests[k] = append(requests[k], result)
	}
	var results []proof.PathResult
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
	return results, nil
}
