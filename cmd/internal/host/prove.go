package host

import (
	"cmp"
	"context"
	"errors"
	"maps"
	"net/netip"
	"slices"
	"time"

	"replypath/health"
	"replypath/health/proof"
	"replypath/uplinks"
	"replypath/uplinks/procfs"
	"replypath/uplinks/rtnl"
)

// Prove finds out whether replies leave by their paths: it asks the kernel, and shows it with questions of its own. It
// changes nothing that outlives it and takes no lock; while another program proves, it waits. It may be called beside
// everything else that a Host does.
func (h *Host) Prove(ctx context.Context, s health.Settings, paths []health.Path) ([]proof.Finding, error) {
	return Prove(ctx, s, paths)
}

// ProveSome is Prove for some of the paths, of a host that was like the facts a moment ago: what is read only to tell
// why a reply strays it leaves out. When one strays, or it cannot be told, all of that is read and the paths are proven
// again.
func (h *Host) ProveSome(ctx context.Context, s health.Settings, facts uplinks.Facts, paths, some []health.Path) ([]proof.Finding, error) {
	findings, err := prove(ctx, s, paths, some, func(*rtnl.Handle) (proof.Ground, error) { return proof.Ground{Facts: facts}, nil })
	if err == nil && proof.Result(slices.DeleteFunc(slices.Clone(findings), func(f proof.Finding) bool { return !fit(f.Path) })) == health.Yes {
		return findings, nil
	}
	return prove(ctx, s, paths, some, wholeGround(ctx, some))
}

// fit reports whether anything can be asked of the path. Of another one that is all there is to tell.
func fit(p health.Path) bool { _, unfit := proof.Unfit(p); return !unfit }

// Prove is Host.Prove for a program that has no Host open.
func Prove(ctx context.Context, s health.Settings, paths []health.Path) ([]proof.Finding, error) {
	return prove(ctx, s, paths, paths, wholeGround(ctx, paths))
}

// wholeGround reads all that verdicts on the paths can name.
func wholeGround(ctx context.Context, paths []health.Path) func(*rtnl.Handle) (proof.Ground, error) {
	return func(links *rtnl.Handle) (proof.Ground, error) {
		facts, have, err := look(ctx, links)
		sysctls := proof.Sysctls(paths)
		return proof.Ground{Facts: facts, Rules: have.Rules, Routes: have.Routes, Values: procfs.Values(sysctls), SetBy: setAtBoot("/", sysctls)}, err
	}
}

// prove proves some of the paths, on the ground that is read with a handle for it.
func prove(ctx context.Context, s health.Settings, paths, some []health.Path, read func(*rtnl.Handle) (proof.Ground, error)) ([]proof.Finding, error) {
	links, err := rtnl.Open(0)
	if err != nil {
		return nil, err
	}
	defer links.Close()
	router, err := rtnl.OpenRouter()
	if err != nil {
		return nil, err
	}
	defer router.Close()
	ground, err := read(links)
	if err != nil {
		return nil, err
	}
	r, err := survey(ctx, ground, router, s, paths, some)
	if err != nil {
		return nil, err
	}
	asked := map[health.Key]health.Check{}
	for _, p := range some {
		asked[p.Key] = r.ask(p)
	}
	answers, failed := r.show(ctx)
	of := map[health.Key][]proof.Answer{}
	for _, a := range r.ground.Shown(answers.questions, answers.sights, asked) {
		of[a.Question.Path.Key] = append(of[a.Question.Path.Key], a)
	}
	var findings []proof.Finding
	for _, p := range some {
		f := proof.Finding{Path: p, At: time.Now(), Asked: asked[p.Key], Answers: of[p.Key]}
		switch why, unfit := proof.Unfit(p); {
		case unfit:
			f.Shown = why
		case len(f.Answers) == 0 || failed != nil:
			f.Shown = proof.CannotShow(cmp.Or(failed, errNoAsker))
		default:
			f.Shown = proof.Sum(f.Answers)
		}
		findings = append(findings, f)
	}
	return findings, nil
}

// errNoAsker is the error of a host that knows every address for documentation.
var errNoAsker = errors.New("every address from which questions could seem to come is in use on this host: set [proof] source")

// run is one proof.
type run struct {
	router *rtnl.Router
	ground proof.Ground
	target proof.Target
	paths  []health.Path // those that are asked at
	wires  []int         // the links of all uplinks: by none of them may an answer leave
	askers map[health.Key]netip.Addr
	inside map[uplinks.Family]*proof.Inside
}

// survey finds out at which of some paths can be asked, and by whom.
func survey(ctx context.Context, ground proof.Ground, router *rtnl.Router, s health.Settings, paths, some []health.Path) (*run, error) {
	r := &run{router: router, askers: map[health.Key]netip.Addr{}, inside: map[uplinks.Family]*proof.Inside{}, ground: ground,
		target: proof.Target{Facts: ground.Facts, Services: s.Prove}}
	var err error
	if r.target.Listeners, err = rtnl.Listeners(ctx); err != nil {
		return nil, err
	}
	for _, p := range some {
		if fit(p) {
			r.paths = append(r.paths, p)
		}
	}
	for _, p := range paths {
		if fit(p) {
			r.wires = append(r.wires, p.Index)
		}
	}
	for _, f := range uplinks.Families {
		r.appoint(f, s.Proof)
		r.inside[f] = proof.FindInside(ground.Facts, paths, f)
	}
	return r, nil
}

// appoint chooses who asks at each path of a family.
func (r *run) appoint(f uplinks.Family, p health.Proving) {
	source := p.Source4
	if f == uplinks.IPv6 {
		source = p.Source6
	}
	block, found := r.block(f)
	for i, path := range r.paths {
		switch {
		case path.Family != f:
		case source.IsValid():
			r.askers[path.Key] = source
		case found:
			r.askers[path.Key] = proof.Asker(block, i)
		}
	}
}

// block is one that nothing but a default route leads to, or at least one that the host has nothing to do with.
func (r *run) block(f uplinks.Family) (netip.Prefix, bool) {
	free := proof.Blocks(r.ground.Facts, f)
	for _, b := range free {
		if r.router.Default(proof.Asker(b, 0)) {
			return b, true
		}
	}
	if len(free) == 0 {
		return netip.Prefix{}, false
	}
	return free[0], true
}

func (r *run) ask(p health.Path) health.Check {
	asker, found := r.askers[p.Key]
	if !found {
		c, unfit := proof.Unfit(p)
		if !unfit {
			c = proof.CannotShow(errNoAsker)
		}
		return c
	}
	return r.ground.Asked(p, proof.Ask(p, asker, r.inside[p.Family], r.router.Ask))
}

// asking are the addresses that questions come from.
func (r *run) asking() []netip.Addr {
	all := slices.Collect(maps.Values(r.askers))
	slices.SortFunc(all, netip.Addr.Compare)
	return slices.Compact(all)
}
