package prover

import (
	"context"
	"net/netip"
	"slices"

	"replypath/health"
	"replypath/health/proof"
	"replypath/marks/dnat"
	"replypath/uplinks"
	"replypath/uplinks/egress"

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
	t := targets{run: r, reachable: map[egress.LinkAddr]bool{}}
	found := map[health.Key][]translated{}
	for _, p := range r.paths {
		found[p.Key] = r.translatedServices(p, ports)
		for _, s := range found[p.Key] {
			t.add(p, s.targets)
		}
	}
	if err := t.resolve(ctx); err != nil {
		return err
	}
	r.host.Translated = map[health.Key][]proof.TranslatedService{}
	for _, p := range r.paths {
		for _, s := range found[p.Key] {
			if t.allReachable(p, s.targets) {
				r.host.Translated[p.Key] = append(r.host.Translated[p.Key], s.TranslatedService)
			}
		}
	}
	return nil
}

// translated is a service with the hosts that its requests may be sent to.
type translated struct {
	proof.TranslatedService
	targets []netip.Addr
}

// leadsLike reports whether requests for the same port of another address are sent to the same hosts.
func (t translated) leadsLike(o translated) bool {
	return t.Proto == o.Proto && t.To.Port() == o.To.Port() && slices.Equal(t.targets, o.targets)
}

// translatedServices returns the services at the addresses of the path that DNAT certainly takes away, up to maxTranslated: those of
// further addresses only where they lead to other hosts. A node of a pair is asked at its source address alone: the servers may
// reply by the other node, which is in charge too.
func (r *run) translatedServices(p health.Path, ports []uint16) (all []translated) {
	addrs := r.host.Addrs(p)
	if p.VIP != "" {
		addrs = addrs[:1]
	}
	for _, port := range ports {
		for _, a := range addrs {
			for _, proto := range []string{"tcp", "udp"} {
				if len(all) == maxTranslated {
					return all
				}
				taken, targets := r.rules.translations.Follow(r.requestOf(p, proto, a, port))
				s := translated{proof.TranslatedService{Proto: proto, To: netip.AddrPortFrom(a, port)}, targets}
				if taken && len(targets) > 0 && !slices.ContainsFunc(all, s.leadsLike) {
					all = append(all, s)
				}
			}
		}
	}
	return all
}

// requestOf returns a request of the path's peer, as DNAT sees it.
func (r *run) requestOf(p health.Path, proto string, to netip.Addr, port uint16) dnat.Request {
	return dnat.Request{Proto: map[string]uint8{"tcp": unix.IPPROTO_TCP, "udp": unix.IPPROTO_UDP}[proto], From: r.peers[p.Key], To: to, Port: port,
		Link: p.Link, LinkID: p.Index, IsOfHost: func(a netip.Addr) bool { return a.IsLoopback() || r.ownAddrs[a] }}
}

// targets are the hosts that requests are sent to by DNAT.
type targets struct {
	*run
	reachable map[egress.LinkAddr]bool // by their next hops
}

// nextHop returns the next hop of a request to the host, and the decision of the kernel.
func (r *run) nextHop(p health.Path, to netip.Addr) (hop egress.LinkAddr, d uplinks.RouteDecision) {
	d = r.router.Get(uplinks.RouteQuery{From: r.peers[p.Key], To: to, Mark: p.Mark, IIF: p.Index})
	hop = egress.LinkAddr{Link: d.Link, Addr: to}
	if d.Gateway.IsValid() {
		hop.Addr = d.Gateway.WithZone("")
	}
	return hop, d
}

// add adds the next hops of requests to the hosts.
func (t *targets) add(p health.Path, hosts []netip.Addr) {
	for _, a := range hosts {
		if hop, d := t.nextHop(p, a); d.Err == nil && !d.Local {
			t.reachable[hop] = t.output.Links[hop.Link].NoARP
		}
	}
}

// resolve makes the kernel resolve the next hops, and waits for a moment. A host that is not resolved is asked nothing.
func (t *targets) resolve(ctx context.Context) error {
	var wanted []egress.LinkAddr
	for hop, reachable := range t.reachable {
		if !reachable {
			wanted = append(wanted, hop)
		}
	}
	entries, _, err := resolve(ctx, wanted)
	for _, n := range entries {
		t.reachable[n.Where()] = n.State.Valid()
	}
	return err
}

// allReachable reports whether the kernel knows the next hops of requests to all of the hosts. A request that it refuses to
// forward needs none.
func (t *targets) allReachable(p health.Path, hosts []netip.Addr) bool {
	return !slices.ContainsFunc(hosts, func(a netip.Addr) bool {
		hop, d := t.nextHop(p, a)
		return d.Local || d.Err == nil && !t.reachable[hop]
	})
}
