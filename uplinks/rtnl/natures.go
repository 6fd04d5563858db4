package rtnl

import (
	"context"

	"replypath/uplinks"

	"github.com/vishvananda/netlink"
)

// Natures are the links' MTUs, kinds and local addresses, by their names.
func (h *Handle) Natures(ctx context.Context) (map[string]uplinks.Nature, error) {
	links, err := h.listLinks(ctx)
	if err != nil {
		return nil, err
	}
	all := map[string]uplinks.Nature{}
	for _, l := range links {
		v, tunnel := l.(*netlink.Vxlan)
		all[l.Attrs().Name] = uplinks.Nature{MTU: l.Attrs().MTU, Kind: l.Type(), Bound: tunnel && len(v.SrcAddr) > 0 && !v.SrcAddr.IsUnspecified()}
	}
	return all, nil
}
