package rtnl

import (
	"context"

	"replypath/uplinks"

	"github.com/vishvananda/netlink"
)

// LinkAttributes returns the MTU and kind of each link, and whether it has a local address of its own, by name.
func (h *Handle) LinkAttributes(ctx context.Context) (map[string]uplinks.LinkAttributes, error) {
	links, err := h.listLinks(ctx)
	if err != nil {
		return nil, err
	}
	all := map[string]uplinks.LinkAttributes{}
	for _, l := range links {
		v, tunnel := l.(*netlink.Vxlan)
		all[l.Attrs().Name] = uplinks.LinkAttributes{MTU: l.Attrs().MTU, Kind: kernelKind(l), FixedLocal: tunnel && len(v.SrcAddr) > 0 && !v.SrcAddr.IsUnspecified()}
	}
	return all, nil
}

// kernelKind returns the kernel's name of a link's kind (IFLA_INFO_KIND). The library has its own for tun and tap.
func kernelKind(l netlink.Link) string {
	if kind := l.Type(); kind != "tuntap" {
		return kind
	}
	return "tun"
}
