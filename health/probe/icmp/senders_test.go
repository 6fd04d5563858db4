package icmp

import (
	"context"
	"errors"
	"net/netip"
	"testing"

	"replypath/health"
	"replypath/uplinks"
)

func TestNobodyWaitsForASenderThatIsStuck(t *testing.T) {
	p := health.Path{Key: health.Key{Family: uplinks.IPv6}, Mark: 0x100}
	s, stuck := newSenders(), newSender(p)
	s.by[wayOf(p)] = stuck
	for name, takes := range map[string]bool{"with the question": true, "with another": false} {
		ctx, cancel := context.WithCancelCause(t.Context())
		late := errors.New("it is late")
		if takes {
			go func() {
				<-stuck.next
				cancel(late)
			}()
		} else {
			cancel(late)
		}
		if err := s.put(ctx, p, newQuestion(1, netip.MustParseAddr("2001:db8::1"))); !errors.Is(err, late) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
