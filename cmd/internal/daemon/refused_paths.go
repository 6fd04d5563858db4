package daemon

import (
	"context"
	"errors"
	"maps"
	"time"

	"replypath/uplinks"
)

// refusedPaths has the paths that are left out because the kernel refuses one of their routes. Each is tried again after a
// delay, which doubles up to maxRefusalDelay, and at once when its route is another one. Not safe for concurrent use.
type refusedPaths map[uplinks.PathKey]*refusedPath

type refusedPath struct {
	step      uplinks.SetRoute
	reason    string
	delay     time.Duration
	notBefore time.Time // of the next try
}

const (
	minRefusalDelay = time.Second
	maxRefusalDelay = resyncInterval
)

// add adds paths with their refused routes, and reports whether there is a new one.
func (p refusedPaths) add(routes map[uplinks.PathKey]*uplinks.RefusedRoute, now time.Time) (fresh bool) {
	for path, r := range routes {
		if p[path] == nil {
			p[path] = &refusedPath{r.Step, r.Error(), minRefusalDelay, now.Add(minRefusalDelay)}
			fresh = true
		}
	}
	return fresh
}

// reasons returns the reason of each path.
func (p refusedPaths) reasons() map[uplinks.PathKey]string {
	all := map[uplinks.PathKey]string{}
	for path, r := range p {
		all[path] = r.reason
	}
	return all
}

// next returns the time until the next try, and 0 if there is none to be made.
func (p refusedPaths) next(now time.Time) (next time.Duration) {
	for _, r := range p {
		if left := max(r.notBefore.Sub(now), time.Millisecond); next == 0 || left < next {
			next = left
		}
	}
	return next
}

// due reports whether a path is to be tried again: its delay is over, or on a host with these facts it has another route.
func (p refusedPaths) due(s uplinks.Settings, f uplinks.Facts, now time.Time) bool {
	for path, r := range p {
		if !now.Before(r.notBefore) || !r.wanted(s, f, path) {
			return true
		}
	}
	return false
}

// wanted reports whether the path has the refused route on a host with these facts.
func (r *refusedPath) wanted(s uplinks.Settings, f uplinks.Facts, path uplinks.PathKey) bool {
	f.Refused, f.Kept = nil, nil
	for _, u := range s.Uplinks {
		if u.Name == path.Uplink {
			route, exists := uplinks.Desired(s, f.WithScopes([]uplinks.Scope{{Table: s.Table(u)}}), nil).Routes[r.step.Key]
			return exists && route == r.step.Route
		}
	}
	return false
}

// retry writes the refused routes that are due. It removes the paths whose routes the kernel accepts now, and those that
// have another route.
func (p refusedPaths) retry(ctx context.Context, k uplinks.Kernel, s uplinks.Settings, f uplinks.Facts, now time.Time) {
	maps.DeleteFunc(p, func(path uplinks.PathKey, r *refusedPath) bool {
		if !r.wanted(s, f, path) {
			return true
		}
		if now.Before(r.notBefore) {
			return false
		}
		err := k.Apply(ctx, r.step)
		if errors.Is(err, uplinks.ErrRefused) {
			r.reason = err.Error()
			r.delay = min(2*r.delay, maxRefusalDelay)
		}
		r.notBefore = now.Add(r.delay)
		return err == nil
	})
}
