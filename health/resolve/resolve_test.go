package resolve

import (
	"net/netip"
	"testing"
	"testing/synctest"
	"time"

	"replypath/health"
	"replypath/uplinks"
)

func TestAnAddressIsBelievedForAWhile(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, addr := New(), netip.MustParseAddr("192.0.2.7")
		p := health.Path{Key: health.Key{Uplink: "lte", Family: uplinks.IPv4}, Index: 4}
		r.known[name{p.Key, "target.example"}] = entry{p, addr, time.Now()}
		believed := func(p health.Path, host string) bool {
			got, ok := r.recall(p, host)
			return ok && got == addr
		}
		time.Sleep(Lifetime - time.Nanosecond)
		again := p
		again.Index = 5
		if !believed(p, "target.example") || believed(p, "other.example") || believed(again, "target.example") {
			t.Error("an address holds for its own name and path, and no other")
		}
		time.Sleep(time.Nanosecond)
		if believed(p, "target.example") {
			t.Error("an address is believed for longer than its lifetime")
		}
		r.known[name{p.Key, "target.example"}] = entry{p, addr, time.Now()}
		r.Forget(p, "target.example")
		if believed(p, "target.example") {
			t.Error("what was to be forgotten is believed")
		}
	})
}
