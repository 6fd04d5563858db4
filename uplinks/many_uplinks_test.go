package uplinks_test

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"testing"

	"replypath/marks"
	"replypath/uplinks"
	"replypath/uplinks/uplinkstest"
)

// newRand is a source of chance that says how to repeat itself.
func newRand(t *testing.T) *rand.Rand {
	t.Helper()
	const seed = 31
	t.Logf("seed %d", seed)
	return rand.New(rand.NewPCG(seed, seed))
}

// manyUplinks is a host with n uplinks in both families, eth1 and so on, whose ids are sparse when r is given.
func manyUplinks(n int, r *rand.Rand) (uplinks.Settings, uplinks.Facts) {
	s, f := uplinks.DefaultSettings(), uplinkstest.Facts()
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

// numberedUplink is the uplink with that id, and its link.
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
		Connected: []netip.Prefix{net4.Masked(), net6.Masked()},
	}
	return u, l
}
