package uplinkstest

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"

	"replypath/marks"
	"replypath/uplinks"
)

// ManyUplinks returns the settings and facts of a host with n uplinks in both families, on links eth1 and so on. Their
// ids are 1 to n, or a random subset of all ids when r is given.
func ManyUplinks(n int, r *rand.Rand) (uplinks.Settings, uplinks.Facts) {
	s, f := uplinks.DefaultSettings(), Facts()
	s.Mask = 0xff00
	f.Links = map[string]uplinks.Link{"lo": f.Links["lo"], "lan0": f.Links["lan0"]}
	ids := make([]int, marks.MaxID)
	for i := range ids {
		ids[i] = i + 1
	}
	if r != nil {
		r.Shuffle(len(ids), func(i, j int) { ids[i], ids[j] = ids[j], ids[i] })
	}
	slices.Sort(ids[:n])
	for _, id := range ids[:n] {
		u, l := numberedUplink(id)
		s.Uplinks = append(s.Uplinks, u)
		f.Links[l.Name] = l
	}
	return s, f
}

// numberedUplink returns the uplink with the id, and its link.
func numberedUplink(id int) (uplinks.Uplink, uplinks.Link) {
	net4 := netip.MustParsePrefix(fmt.Sprintf("198.18.%d.2/24", id))
	net6 := netip.MustParsePrefix(fmt.Sprintf("2001:db8:%x::2/64", id))
	u := uplinks.Uplink{
		Name: fmt.Sprintf("up%d", id), ID: marks.ID(id), Link: fmt.Sprintf("eth%d", id), WhenDown: uplinks.Hold,
		Gateway4: uplinks.Gateway{Addr: net4.Addr().Prev()}, Gateway6: uplinks.Gateway{Addr: net6.Addr().Prev()},
	}
	l := uplinks.Link{
		Name: u.Link, Index: id + 10, Up: true, Carrier: true,
		Addrs:     []uplinks.Addr{{Prefix: net4}, {Prefix: net6}},
		Connected: []uplinks.Connected{connected(net4), connected(net6)},
	}
	return u, l
}
