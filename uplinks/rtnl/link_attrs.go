package rtnl

import (
	"context"

	"replypath/uplinks"

	"github.com/vishvananda/netlink"
)

// LinkAttributes are the links' MTUs, kinds and local addresses, by their names.
func (h *Handle) LinkAttributes(ctx context.Context) (map[string]uplinks.LinkAttributes, error) {
	links, err := h.listLinks(ctx)
	if err != nil {
		return nil, err
	}
	all := map[string]uplinks.LinkAttributes{}
	for _, l := range links {
		v, tunnel := l.(*netlink.Vxlan)
		all[l.Attrs().Name] = uplinks.LinkAttributes{MTU: l.Attrs().MTU, Kind: l.Type(), FixedLocal: tunnel && len(v.SrcAddr) > 0 && !v.SrcAddr.IsUnspecified()}
	}
	return all, nil
}
