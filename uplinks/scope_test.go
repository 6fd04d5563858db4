package uplinks_test

import (
	"maps"
	"slices"
	"testing"

	"replypath/uplinks"
	"replypath/uplinks/uplinkstest"
)

// TestNeedsFullResync changes one link in turn. Rules select by address and by name, so a change of either reaches
// beyond the link's own scope.
func TestNeedsFullResync(t *testing.T) {
	second := uplinks.Addr{Prefix: prefix("192.0.2.77/24")}
	for name, c := range map[string]struct {
		change func(*uplinks.Link)
		want   bool
	}{
		"nothing":                {func(*uplinks.Link) {}, false},
		"an address is added":    {func(l *uplinks.Link) { l.Addrs = append(slices.Clone(l.Addrs), second) }, true},
		"an address is removed":  {func(l *uplinks.Link) { l.Addrs = l.Addrs[1:] }, true},
		"an address is replaced": {func(l *uplinks.Link) { l.Addrs = append([]uplinks.Addr{second}, l.Addrs[1:]...) }, true},
		"all addresses are gone": {func(l *uplinks.Link) { l.Addrs = nil }, true},
		"the link is made anew":  {func(l *uplinks.Link) { l.Index += 10 }, true},
		"the link joins a VRF":   {func(l *uplinks.Link) { l.VRF = 77 }, true},
		"the carrier is lost":    {func(l *uplinks.Link) { l.Carrier = false }, false},
		"the link is set down":   {func(l *uplinks.Link) { l.Up, l.Carrier = false, false }, false},
		"another gateway":        {func(l *uplinks.Link) { l.Defaults = []uplinks.NextHop{uplinkstest.Hop("192.0.2.9", 0)} }, false},
		"a link-local address": {func(l *uplinks.Link) {
			l.Addrs = append(slices.Clone(l.Addrs), uplinks.Addr{Prefix: prefix("fe80::7/64"), LinkLocal: true})
		}, false},
		"a temporary address ends": {func(l *uplinks.Link) { l.Addrs = l.Addrs[:1] }, true},
	} {
		for _, link := range []string{"eth0", "eth1", "lan0"} {
			before := uplinkstest.Facts()
			l := before.Links[link]
			c.change(&l)
			part := uplinks.Facts{Scopes: uplinkstest.Settings().ScopesOf(link), Links: map[string]uplinks.Link{link: l}}
			if got := before.NeedsFullResync(part); got != c.want {
				t.Errorf("%s of %s: full resync %t, want %t", name, link, got, c.want)
			}
		}
	}
}

func TestNeedsFullResyncWhenTheLinkIsGone(t *testing.T) {
	part := uplinks.Facts{Scopes: uplinkstest.Settings().ScopesOf("eth1")}
	if !uplinkstest.Facts().NeedsFullResync(part) {
		t.Error("the rules of a deleted link would stay")
	}
}

// The address of eth1 is on lan0 too: which of the two owns it depends on both.
func TestNeedsFullResyncOfASharedAddress(t *testing.T) {
	before := uplinkstest.Facts()
	before.Links = maps.Clone(before.Links)
	lan := before.Links["lan0"]
	lan.Addrs = append(slices.Clone(lan.Addrs), before.Links["eth1"].Addrs...)
	before.Links["lan0"] = lan
	l := before.Links["eth1"]
	l.Carrier = false
	part := uplinks.Facts{Scopes: uplinkstest.Settings().ScopesOf("eth1"), Links: map[string]uplinks.Link{"eth1": l}}
	if !before.NeedsFullResync(part) {
		t.Error("the owner of the shared address would not change")
	}
}
