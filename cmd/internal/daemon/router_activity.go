package daemon

import (
	"net/netip"
	"time"

	"replypath/health"
	"replypath/uplinks"
)

// routerRequests counts the requests of routers. *host.Host implements it.
type routerRequests interface {
	RouterRequests() (map[health.RouterKey]uint64, error)
}

// routerActivity is what is known of the routers of the uplinks that have several. It is guarded by the mutex of its routerPoller.
type routerActivity struct {
	uplinks  map[string][]health.RouterKey // the routers by uplink; of others it knows nothing
	addrs    map[health.RouterKey][]netip.Addr
	requests map[health.RouterKey]uint64
	seen     map[health.RouterKey]time.Time
}

// observe sets the routers, given the hardware addresses of each uplink's. What is known of routers that remain is kept.
func (a *routerActivity) observe(s uplinks.Settings, macs map[string][]string) {
	a.uplinks = map[string][]health.RouterKey{}
	seen := map[health.RouterKey]time.Time{}
	for _, u := range s.Uplinks {
		if !s.HasSeveralRouters(u) {
			continue
		}
		for _, mac := range macs[u.Name] {
			k := health.RouterKey{ID: u.ID, MAC: mac}
			a.uplinks[u.Name] = append(a.uplinks[u.Name], k)
			if at, known := a.seen[k]; known {
				seen[k] = at
			}
		}
	}
	a.seen = seen
}

// recordRequests reads how many requests each router has sent, and which addresses have its hardware address now; keys are in the order of
// the routers. Where no uplink has several routers it reads nothing.
func (p *routerPoller) recordRequests(routers []health.Path, keys []health.RouterKey) {
	p.mu.Lock()
	idle := len(p.activity.uplinks) == 0
	p.mu.Unlock()
	if idle {
		return
	}
	requests, err := p.requests.RouterRequests()
	if err != nil {
		p.log.Debug("cannot read the requests of routers", "err", err)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	a := &p.activity
	a.addrs = map[health.RouterKey][]netip.Addr{}
	for i, k := range keys {
		if k.MAC != "" {
			a.addrs[k] = append(a.addrs[k], routers[i].Gateway)
		}
	}
	for k, n := range requests {
		if before, known := a.requests[k]; known && n > before {
			a.seen[k] = time.Now()
		}
	}
	if err == nil {
		a.requests = requests
	}
}

// recordAnswers records which routers have answered; keys are in the order of the questions.
func (p *routerPoller) recordAnswers(keys []health.RouterKey, all []health.BatchedOutcome) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, o := range all {
		if k := keys[o.N]; o.Err == nil && k.MAC != "" && p.activity.seen != nil {
			p.activity.seen[k] = time.Now()
		}
	}
}

// Activity returns what is known of each router of the uplink; nil unless it has several.
func (p *routerPoller) Activity(uplink string) (all []health.RouterActivity) {
	p.mu.Lock()
	defer p.mu.Unlock()
	a := &p.activity
	for _, k := range a.uplinks[uplink] {
		r := health.RouterActivity{MAC: k.MAC, Addresses: append([]netip.Addr{}, a.addrs[k]...), Requests: a.requests[k], Seen: a.seen[k]}
		all = append(all, r)
	}
	return all
}
