package prover

import (
	"context"

	"replypath/cmd/internal/host"
	"replypath/uplinks"
)

// addIntercepts adds, for each family, the intercepts whose proxies listen in it, once for each protocol.
func (r *run) addIntercepts(ctx context.Context, in *uplinks.Interception) error {
	if in == nil {
		return nil
	}
	r.host.InterceptBit = uint32(in.Bit)
	r.host.Intercepts = map[uplinks.Family][]uplinks.Intercept{}
	for _, i := range in.Intercepts {
		for _, p := range i.Proxies() {
			state, err := host.LookUpProxy(ctx, p)
			if err != nil {
				return err
			}
			if state == uplinks.ProxyListening {
				i.Protocols = []string{p.Proto}
				r.host.Intercepts[p.Family] = append(r.host.Intercepts[p.Family], i)
			}
		}
	}
	return nil
}
