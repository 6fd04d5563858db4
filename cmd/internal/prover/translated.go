package prover

import (
	"context"
	"net/netip"
	"slices"
	"time"

	"replypath/health"
	"replypath/health/proof"
	"replypath/marks/dnat"
	"replypath/uplinks"
	"replypath/uplinks/rtnl"

	"golang.org/x/sys/unix"
)

// maxTranslated bounds the services behind DNAT that are asked of a path: two families make 16 for an uplink.
const maxTranslated = 8

// findTranslated finds the services that rules of DNAT send elsewhere, and whose hosts the kernel can reach. It makes the kernel
// resolve these, as the first packet of a client does.
func (r *run) findTranslated(ctx context.Context) error {
	ports := proof.ByPreference(r.rules.translations.Ports())
	if len(ports) == 0 {
		return nil
	}
	table, err := rtnl.OpenNeighbourTable()
	if err != nil {
		return err
	}
	defer table.Close()
	t := targets{run: r, table: table, reachable: map[proof.LinkAddr]bool{}}
	found := map[health.Key][]translated{}
	for _, p := range r.paths {
		found[p.Key] = r.translatedServices(p, ports)
		for _, s := range found[p.Key] {
			t.resolve(p, s.targets)
		}
	}
	if err := t.await(ctx); err != nil {
		return err
	}
	r.host.Translated = map[health.Key][]proof.Selected{}
	for _, p := range r.paths {
		for _, s := range found[p.Key] {
			if t.allReachable(p, s.targets) {
				r.host.Translated[p.Key] = append(r.host.Translated[p.Key], s.Selected)
			}
		}
	}
	return nil
}

// translated is a service with the hosts that its requests may be sent to.
type translated struct {
	proof.Selected
	targets []netip.Addr
}

// translatedServices returns the services at the source address of the path that DNAT certainly takes away.
func (r *run) translatedServices(p health.Path, ports []uint16) (all []translated) {
	ofHost := func(a netip.Addr) bool { return a.IsLoopback() || r.ownAddrs[a] }
	for _, port := range ports {
		for _, s := range []proof.Selected{{Proto: "tcp", Port: port}, {Proto: "udp", Port: port}} {
			if len(all) == maxTranslated {
				return all
			}
			q := dnat.Request{Proto: map[string]uint8{"tcp": unix.IPPROTO_TCP, "udp": unix.IPPROTO_UDP}[s.Proto], From: r.peers[p.Key], To: p.Source, Port: port,
				Link: p.Link, LinkID: p.Index, IsOfHost: ofHost}
			if taken, targets := r.rules.translations.Follow(q); taken && len(targets) > 0 {
				all = append(all, translated{s, targets})
			}
		}
	}
	return all
}

// targets are the hosts that requests are sent to by DNAT.
type targets struct {
	*run
	table     *rtnl.NeighbourTable
	reachable map[proof.LinkAddr]bool // by their next hops
}

// nextHop returns the next hop of a request to the host.
func (t *targets) nextHop(p health.Path, to netip.Addr) (hop proof.LinkAddr, found bool) {
	d := t.router.Get(uplinks.RouteQuery{From: t.peers[p.Key], To: to, Mark: p.Mark, IIF: p.Index})
	hop = proof.LinkAddr{Link: d.Link, Addr: to}
	if d.Gateway.IsValid() {
		hop.Addr = d.Gateway.WithZone("")
	}
	return hop, d.Err == nil && !d.Local
}

// resolve makes the kernel resolve the next hops of requests to the hosts, unless it knows them.
func (t *targets) resolve(p health.Path, hosts []netip.Addr) {
	for _, a := range hosts {
		hop, found := t.nextHop(p, a)
		if _, asked := t.reachable[hop]; !found || asked {
			continue
		}
		if t.reachable[hop] = t.output.Links[hop.Link].NoARP || t.isResolved(hop); !t.reachable[hop] {
			_ = t.table.Resolve(hop.Link, hop.Addr) // a host that is not resolved is asked nothing
		}
	}
}

// isResolved reports whether the kernel knows the hardware address of the next hop.
func (t *targets) isResolved(hop proof.LinkAddr) bool {
	n, found, err := t.table.Neighbour(hop.Link, hop.Addr)
	return err == nil && found && n.State.Valid()
}

// await waits for a moment until the kernel has resolved the next hops.
func (t *targets) await(ctx context.Context) error {
	for began := time.Now(); time.Since(began) < resolveTimeout; {
		waits := false
		for hop, reachable := range t.reachable {
			t.reachable[hop] = reachable || t.isResolved(hop)
			waits = waits || !t.reachable[hop]
		}
		if !waits {
			return nil
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(resolvePoll):
		}
	}
	return nil
}

// allReachable reports whether the kernel knows the next hops of requests to all of the hosts.
func (t *targets) allReachable(p health.Path, hosts []netip.Addr) bool {
	return !slices.ContainsFunc(hosts, func(a netip.Addr) bool {
		hop, found := t.nextHop(p, a)
		return !found || !t.reachable[hop]
	})
}
