package routers

import (
	"strings"
	"testing"

	"replypath/test/box"
)

// Uplinks on one link exchange their ids while requests come in by a router, and streams are open: all are answered by it, and no packet
// leaves by the other router.
func TestUplinksOnOneLinkExchangeTheirIDs(t *testing.T) {
	t.Parallel()
	box.EachFirewall(t, func(t *testing.T, backend string) {
		o, cable := startKnowing(t, backend)
		strays := o.Routers[0].countStrays(cable, box.ServedPort)
		l := o.startLoad(t, cable, box.ServedPort)
		l.awaitRequests(t)
		text := o.config(t)
		for _, config := range []string{strings.NewReplacer("id = 2", "id = 3", "id = 3", "id = 2").Replace(text), text} {
			o.Write(config)
			o.Must(0, "reload")
			o.AwaitInSync()
			l.awaitRequests(t)
		}
		l.wantUndisturbed(t)
		if n := strays.packets(t); n > 0 {
			t.Errorf("%d packets have left by the other router", n)
		}
	})
}
