// Package prover runs proofs: it injects requests on the uplinks and captures the replies.
package prover

import (
	"cmp"
	"context"
	"errors"
	"maps"
	"net/netip"
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

// Prover proves reply paths in the network namespace of the caller. Safe for concurrent use: while another proof runs, in
// this process or another, it waits.
type Prover struct{}

// Prove checks that replies leave by their paths: it looks up their routes in the kernel, injects requests and captures
// the replies. It changes nothing that outlives it, and takes no lock of the host.
func (Prover) Prove(ctx context.Context, s health.Settings, paths []health.Path) ([]proof.PathResult, error) {
	return prove(ctx, s, paths, paths, readSnapshot(ctx, paths))
}

// ProveSubset is Prove for some of the paths, of a host that was like the facts a moment ago: what is read only to tell
// why a reply strays it leaves out. When one strays, or it cannot be told, all of that is read and the paths are proven
// again.
func (Prover) ProveSubset(ctx context.Context, s health.Settings, facts uplinks.Facts, paths, subset []health.Path) ([]proof.PathResult, error) {
	findings, err := prove(ctx, s, paths, subset, func(*rtnl.Handle) (proof.Snapshot, error) { return proof.Snapshot{Facts: facts}, nil })
	if err == nil && proof.Overall(slices.DeleteFunc(slices.Clone(findings), func(f proof.PathResult) bool { return !provable(f.Path) })) == health.Yes {
		return findings, nil
	}
	return prove(ctx, s, paths, subset, readSnapshot(ctx, subset))
}

// provable reports whether anything can be asked of the path. Of another one that is all there is to tell.
func provable(p health.Path) bool { _, unfit := proof.Unusable(p); return !unfit }

// readSnapshot reads all that verdicts on the paths can name.
func readSnapshot(ctx context.Context, paths []health.Path) func(*rtnl.Handle) (proof.Snapshot, error) {
	return func(links *rtnl.Handle) (proof.Snapshot, error) {
		facts, have, err := host.ReadKernel(ctx, links)
		sysctls := proof.Sysctls(paths)
		return proof.Snapshot{Facts: facts, Rules: have.Rules, Routes: have.Routes, Values: procfs.Values(sysctls), SetBy: systemd.SysctlSources("/", sysctls),
			Names: iproute.Names()}, err
	}
}

// prove proves some of the paths, on the ground that is read with a handle for it.
func prove(ctx context.Context, s health.Settings, paths, subset []health.Path, read func(*rtnl.Handle) (proof.Snapshot, error)) ([]proof.PathResult, error) {
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
	ground, err := read(links)
	if err != nil {
		return nil, err
	}
	r, err := newProofRun(ctx, ground, router, s, paths, subset)
	if err != nil {
		return nil, err
	}
	lookups := map[health.Key]health.ProofCheck{}
	for _, p := range subset {
		lookups[p.Key] = r.lookUp(p)
	}
	injected, failed := r.inject(ctx)
	answersByPath := map[health.Key][]proof.RequestResult{}
	for _, a := range r.ground.CheckTraces(injected.questions, injected.observations, lookups) {
		answersByPath[a.Request.Path.Key] = append(answersByPath[a.Request.Path.Key], a)
	}
	var findings []proof.PathResult
	for _, p := range subset {
		f := proof.PathResult{Path: p, At: time.Now(), Routes: lookups[p.Key], Requests: answersByPath[p.Key]}
		switch why, unfit := proof.Unusable(p); {
		case unfit:
			f.Trace = why
		case len(f.Requests) == 0 || failed != nil:
			f.Trace = proof.Inconclusive(cmp.Or(failed, errNoSource))
		default:
			f.Trace = proof.Summarize(f.Requests)
		}
		findings = append(findings, f)
	}
	return findings, nil
}

// errNoSource is the error of a host that knows every address for documentation.
var errNoSource = errors.New("every address from which questions could seem to come is in use on this host: set [proof] source")

// proofRun is one proof.
type proofRun struct {
	router        *rtnl.RouteGetter
	ground        proof.Snapshot
	target        proof.Host
	paths         []health.Path // those that are asked at
	uplinkIndexes []int         // the links of all uplinks: by none of them may an answer leave
	sources       map[health.Key]netip.Addr
	inside        map[uplinks.Family]*proof.LANHost
}

// newProofRun finds out at which of some paths can be asked, and by whom.
func newProofRun(ctx context.Context, ground proof.Snapshot, router *rtnl.RouteGetter, s health.Settings, paths, subset []health.Path) (*proofRun, error) {
	r := &proofRun{router: router, sources: map[health.Key]netip.Addr{}, inside: map[uplinks.Family]*proof.LANHost{}, ground: ground,
		target: proof.Host{Facts: ground.Facts, Services: s.ProofServices}}
	var err error
	if r.target.Listeners, err = rtnl.Listeners(ctx); err != nil {
		return nil, err
	}
	for _, p := range subset {
		if provable(p) {
			r.paths = append(r.paths, p)
		}
	}
	for _, p := range paths {
		if provable(p) {
			r.uplinkIndexes = append(r.uplinkIndexes, p.Index)
		}
	}
	for _, f := range uplinks.Families {
		r.assignSources(f, s.Proof)
		r.inside[f] = proof.FindLANHost(ground.Facts, paths, f)
	}
	return r, nil
}

// assignSources chooses who asks at each path of a family.
func (r *proofRun) assignSources(f uplinks.Family, p health.ProofSettings) {
	source := p.Source4
	if f == uplinks.IPv6 {
		source = p.Source6
	}
	block, found := r.freeBlock(f)
	for i, path := range r.paths {
		switch {
		case path.Family != f:
		case source.IsValid():
			r.sources[path.Key] = source
		case found:
			r.sources[path.Key] = proof.PeerAddr(block, i)
		}
	}
}

// freeBlock is one that nothing but a default route leads to, or at least one that the host has nothing to do with.
func (r *proofRun) freeBlock(f uplinks.Family) (netip.Prefix, bool) {
	free := proof.PeerBlocks(r.ground.Facts, f)
	for _, b := range free {
		if r.router.OnlyDefaultRoute(proof.PeerAddr(b, 0)) {
			return b, true
		}
	}
	if len(free) == 0 {
		return netip.Prefix{}, false
	}
	return free[0], true
}

func (r *proofRun) lookUp(p health.Path) health.ProofCheck {
	source, found := r.sources[p.Key]
	if !found {
		c, unfit := proof.Unusable(p)
		if !unfit {
			c = proof.Inconclusive(errNoSource)
		}
		return c
	}
	return r.ground.CheckRoutes(p, proof.LookUpRoutes(p, source, r.inside[p.Family], r.router.Get))
}

// sourceAddrs are the addresses that questions come from.
func (r *proofRun) sourceAddrs() []netip.Addr {
	all := slices.Collect(maps.Values(r.sources))
	slices.SortFunc(all, netip.Addr.Compare)
	return slices.Compact(all)
}
