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

// addProxied names the proxies of the requests, and adds one for each intercept that has none yet.
func (h Host) addProxied(p health.Path, peer netip.Addr, all []Request) []Request {
	asked := map[string]bool{}
	for n, q := range all {
		if i, found := h.interceptOf(p, peer, q); found {
			all[n].Proxy = Proxy{i.Name, i.Port, h.InterceptBit}
			asked[i.Name] = true
		}
	}
	for _, i := range h.Intercepts[p.Family] {
		to, possible := h.proxiedAddr(p, i)
		if asked[i.Name] || !possible {
			continue
		}
		port := uint16(preferredPorts[0])
		if len(i.Ports) > 0 {
			port = i.Ports[0].First
		}
		q := Request{Kind: Proxied, Proto: "tcp", To: netip.AddrPortFrom(to, port), Proxy: Proxy{i.Name, i.Port, h.InterceptBit}}
		if first, found := h.interceptOf(p, peer, q); found && first.Name == i.Name {
			all = append(all, q)
		}
	}
	return all
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

// proxied reports whether the connection of the request has the mark with which the proxy takes it.
func (t trace) proxied(r Request) bool {
	return r.Proxy.bit != 0 && slices.ContainsFunc(t.hooks[InputEnd], func(x Observation) bool { return x.Ctmark&r.Proxy.bit != 0 })
}
