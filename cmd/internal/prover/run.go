package prover

import (
	"context"
	"errors"
	"maps"
	"math/rand/v2"
	"net/netip"
	"slices"

	"replypath/health"
	"replypath/health/proof"
	"replypath/uplinks"
	"replypath/uplinks/egress"
	"replypath/uplinks/rtnl"

	"golang.org/x/sys/unix"
)

var errNoPeer = errors.New("every documentation prefix (RFC 5737, RFC 3849) is in use on this host: set an address of a peer: [proof] source")

// run is one proof.
type run struct {
	router        *rtnl.RouteGetter
	cache         *RuleCache // nil: none
	host          proof.Host
	paths         []health.Path // that requests are injected for
	allPaths      []health.Path
	uplinkIndexes []int // the interfaces of all uplinks: no reply may leave by them
	peers         map[health.Key]netip.Addr
	lan           map[uplinks.Family]*proof.LANHost
	routes        map[health.Key]proof.RouteLookups
	ownAddrs      map[netip.Addr]bool
	rules         firewallRules
	output        *proof.Output // what the kernel consults behind the routes
	networks      []proof.ClientNetwork
	policies      []egress.Policy // by which the networks are looked up
}

// newRun prepares the proof of the subset: its peers, and the servers of the host.
func newRun(ctx context.Context, facts uplinks.Facts, router *rtnl.RouteGetter, cache *RuleCache, s health.Settings, paths, subset []health.Path) (*run, error) {
	servers, err := rtnl.ServerSockets(ctx, unix.IPPROTO_TCP)
	if err != nil {
		return nil, err
	}
	r := &run{router: router, cache: cache, peers: map[health.Key]netip.Addr{}, lan: map[uplinks.Family]*proof.LANHost{},
		routes: map[health.Key]proof.RouteLookups{}, ownAddrs: map[netip.Addr]bool{},
		allPaths: paths, host: proof.Host{Facts: facts, Services: s.ProofServices}}
	rules, err := addSelectedByRules(ctx, &r.host, servers)
	if err != nil {
		return nil, err
	}
	for _, v := range servers {
		r.host.Listeners = append(r.host.Listeners, v.Listener)
	}
	if err := r.addIntercepts(ctx, s.Interception); err != nil {
		return nil, err
	}
	for _, l := range facts.Links {
		for _, a := range l.Addrs {
			r.ownAddrs[a.Prefix.Addr()] = true
		}
	}
	for _, p := range subset {
		if isUsable(p) {
			r.paths = append(r.paths, p)
		}
	}
	for _, p := range paths {
		if isUsable(p) {
			r.uplinkIndexes = append(r.uplinkIndexes, p.Index)
		}
	}
	if err := r.findClientNetworks(ctx, cache, rules); err != nil {
		return nil, err
	}
	for _, f := range uplinks.Families {
		r.choosePeers(f, s.Proof)
		r.lan[f] = proof.FindLANHost(facts, paths, f)
	}
	return r, nil
}

// choosePeers sets the peer of each path of the family: the configured one, or an address of a documentation prefix.
func (r *run) choosePeers(f uplinks.Family, s health.ProofSettings) {
	configured := s.Source4
	if f == uplinks.IPv6 {
		configured = s.Source6
	}
	first := rand.Uint64()
	prefix, found := r.peerPrefix(f, first)
	for i, p := range r.paths {
		switch {
		case p.Family != f:
		case configured.IsValid():
			r.peers[p.Key] = configured
		case found:
			r.peers[p.Key] = proof.PeerAddr(prefix, first+uint64(i))
		}
	}
}

// peerPrefix returns a documentation prefix that is not in use on the host, if possible one that only a default route
// leads to, and that no other program selects. first is the number of the first peer.
func (r *run) peerPrefix(f uplinks.Family, first uint64) (best netip.Prefix, found bool) {
	highest := -1
	for _, p := range proof.PeerBlocks(r.host.Facts, f) {
		rank := 0
		if r.router.OnlyDefaultRoute(proof.PeerAddr(p, first)) {
			rank += 2
		}
		if !slices.ContainsFunc(r.networks, func(n proof.ClientNetwork) bool { return n.Prefix.Overlaps(p) }) {
			rank++
		}
		if rank > highest {
			best, found, highest = p, true, rank
		}
	}
	return best, found
}

// lookUpRoutes looks up the routes of the replies of the paths in the kernel.
func (r *run) lookUpRoutes(subset []health.Path) {
	for _, p := range subset {
		if peer, found := r.peers[p.Key]; found {
			d := proof.LookUpRoutes(p, peer, r.lan[p.Family], r.router.Get)
			d.Clients = proof.LookUpClients(p, d, r.networks, r.uplinkIndexes, egress.State{Policies: r.policies}, r.router.Get)
			r.routes[p.Key] = d
		}
	}
}

// checkRoutes returns the verdict on the routes of the path's replies.
func (r *run) checkRoutes(s proof.Snapshot, p health.Path) health.ProofCheck {
	lookups, found := r.routes[p.Key]
	if check, unusable := proof.Unusable(p); unusable {
		return check
	}
	if !found {
		return proof.Inconclusive(errNoPeer)
	}
	return s.CheckRoutes(p, lookups)
}

// peerAddrs returns the distinct addresses of the peers.
func (r *run) peerAddrs() []netip.Addr {
	addrs := slices.Collect(maps.Values(r.peers))
	slices.SortFunc(addrs, netip.Addr.Compare)
	return slices.Compact(addrs)
}
