package proof

import (
	"fmt"
	"net/netip"
	"slices"

	"replypath/health"
	"replypath/uplinks"
)

// Proxy is a transparent proxy that is configured for a request. The zero value: there is none.
type Proxy struct {
	Intercept string // the name of its table
	Port      uint16 // where it listens
	bit       uint32 // of the marks of connections that it takes
}

// String returns the proxy for people.
func (p Proxy) String() string {
	return fmt.Sprintf("the proxy on port %d (intercept %s)", p.Port, p.Intercept)
}

// addProxied names the proxies of the requests, and adds one for each intercept and protocol that has none yet.
func (h Host) addProxied(p health.Path, peer netip.Addr, all []Request) []Request {
	type service struct{ intercept, proto string }
	asked := map[service]bool{}
	for n := range all {
		if h.nameProxy(p, peer, &all[n]) {
			asked[service{all[n].Proxy.Intercept, all[n].Proto}] = true
		}
	}
	for _, i := range h.Intercepts[p.Family] {
		to, possible := h.proxiedAddr(p, i)
		for _, proto := range i.Protocols {
			q := Request{Kind: Proxied, Proto: proto, To: netip.AddrPortFrom(to, firstPort(i))}
			if possible && !asked[service{i.Name, proto}] && h.nameProxy(p, peer, &q) && q.Proxy.Intercept == i.Name {
				all = append(all, q)
			}
		}
	}
	return all
}

// NameProxy sets the proxy of a request whose path, peer and destination are known.
func (h Host) NameProxy(q *Request) { h.nameProxy(q.Path, q.From.Addr(), q) }

// nameProxy sets the proxy of the request, and reports whether there is one.
func (h Host) nameProxy(p health.Path, peer netip.Addr, q *Request) bool {
	i, found := h.interceptOf(p, peer, *q)
	if found {
		q.Proxy = Proxy{i.Name, i.Port, h.InterceptBit}
	}
	return found
}

// interceptOf returns the intercept of a request.
func (h Host) interceptOf(p health.Path, peer netip.Addr, q Request) (uplinks.Intercept, bool) {
	s := uplinks.Settings{Uplinks: []uplinks.Uplink{{Link: p.Link}}, Interception: &uplinks.Interception{Intercepts: h.Intercepts[p.Family]}}
	return s.InterceptOf(uplinks.InterceptedPacket{Link: p.Link, Protocol: q.Proto, From: peer, To: q.To.Addr(), Port: q.To.Port(), ToHost: true})
}

// proxiedAddr returns an address of which the intercept takes what comes in by the path: the path's own, or one of a network that
// is configured.
func (h Host) proxiedAddr(p health.Path, i uplinks.Intercept) (netip.Addr, bool) {
	if i.To.Contains(p.Source) {
		return p.Source, true
	}
	for _, network := range i.To.In {
		a := network.Addr()
		if !network.IsSingleIP() {
			a = a.Next() // the first is that of the network itself, or of its routers
		}
		if uplinks.FamilyOf(a) == p.Family && i.To.Contains(a) {
			return a, true
		}
	}
	return netip.Addr{}, false
}

// firstPort returns a destination port that the intercept takes.
func firstPort(i uplinks.Intercept) uint16 {
	if len(i.Ports) > 0 {
		return i.Ports[0].First
	}
	return preferredPorts[0]
}

// proxied reports whether the connection of the request has the mark with which the proxy takes it.
func (t trace) proxied(r Request) bool {
	return r.Proxy.bit != 0 && slices.ContainsFunc(t.hooks[InputEnd], func(x Observation) bool { return x.Ctmark&r.Proxy.bit != 0 })
}
