package prover

import (
	"slices"

	"replypath/uplinks"
	"replypath/uplinks/rtnl"
)

// addIntercepts adds, for each family, the intercepts of TCP connections whose proxies listen in it.
func (r *run) addIntercepts(in *uplinks.Interception, servers []rtnl.Socket) {
	if in == nil {
		return
	}
	r.host.InterceptBit = uint32(in.Bit)
	r.host.Intercepts = map[uplinks.Family][]uplinks.Intercept{}
	for _, i := range in.Intercepts {
		for _, p := range i.Proxies() {
			if p.Proto == "tcp" && slices.ContainsFunc(servers, func(s rtnl.Socket) bool { return s.TakesProxied(p) && !s.Opaque }) {
				r.host.Intercepts[p.Family] = append(r.host.Intercepts[p.Family], i)
			}
		}
	}
}
