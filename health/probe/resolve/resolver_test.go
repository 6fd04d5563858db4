package resolve

import (
	"net/netip"
	"testing"
	"testing/synctest"
	"time"

	"replypath/health"
	"replypath/uplinks"
)

func TestAddressIsCachedForItsLifetime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, addr := New(), netip.MustParseAddr("192.0.2.7")
		p := health.Path{Key: health.Key{Uplink: "lte", Family: uplinks.IPv4}, Index: 4}
		r.cache[cacheKey{p.Key, "target.example"}] = entry{p, addr, time.Now()}
		cached := func(p health.Path, host string) bool {
			got, ok := r.cached(p, host)
			return ok && got == addr
		}
		time.Sleep(Lifetime - time.Nanosecond)
		moved := p
		moved.Index = 5
		if !cached(p, "target.example") || cached(p, "other.example") || cached(moved, "target.example") {
			t.Error("an address is not cached for exactly its own name and path")
		}
		time.Sleep(time.Nanosecond)
		if cached(p, "target.example") {
			t.Error("an address is cached for longer than its lifetime")
		}
		r.cache[cacheKey{p.Key, "target.example"}] = entry{p, addr, time.Now()}
		r.Invalidate(p, "target.example")
		if cached(p, "target.example") {
			t.Error("an invalidated address is still cached")
		}
	})
}
