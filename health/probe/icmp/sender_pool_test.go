package icmp

import (
	"context"
	"errors"
	"net/netip"
	"testing"

	"replypath/health"
	"replypath/uplinks"
)

func TestSendReturnsWhenTheContextEnds(t *testing.T) {
	p := health.Path{Key: health.Key{Family: uplinks.IPv6}, Mark: 0x100}
	pool, blocked := newSenderPool(), newSender(p)
	pool.senders[keyOf(p)] = blocked
	for name, received := range map[string]bool{"while the request is being sent": true, "while the sender is busy": false} {
		ctx, cancel := context.WithCancelCause(t.Context())
		timeout := errors.New("timeout")
		if received {
			go func() {
				<-blocked.requests
				cancel(timeout)
			}()
		} else {
			cancel(timeout)
		}
		if err := pool.send(ctx, p, newRequest(1, netip.MustParseAddr("2001:db8::1"))); !errors.Is(err, timeout) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
