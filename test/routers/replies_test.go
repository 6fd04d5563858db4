package routers

import (
	"testing"
	"time"

	"replypath/test/box"
	"replypath/test/world"
)

func TestRepliesLeaveByRouterOfRequest(t *testing.T) {
	t.Parallel()
	box.EachFirewall(t, func(t *testing.T, backend string) {
		o := newOffice(t, backend)
		box.ServeAll(o.Gateway)
		o.Apply()
		o.wantReplies(t)
		box.WantReplies(t, o.Client, o.Uplinks[0].Addr4, kinds)
		box.WantReplies(t, o.Client, o.Uplinks[0].Addr6, kinds)
	})
}

func TestRepliesAreLostWithoutRouters(t *testing.T) {
	t.Parallel()
	o := newOffice(t, box.Backends[0])
	box.ServeAll(o.Gateway)
	o.Apply()
	for _, family := range []int{4, 6} {
		o.Iptables(family, "-t", "mangle", "-F", "REPLYPATH-R2")
		o.Iptables(family, "-t", "mangle", "-A", "REPLYPATH-R2", "-g", "REPLYPATH-IN2")
	}
	for _, to := range o.to() {
		box.WantReplies(t, o.Routers[0].Client, to, kinds)
		q := box.NewRequest(world.KindUDP, to)
		q.Timeout = 300 * time.Millisecond
		if a := o.Routers[1].Client.Send(q); a.OK {
			t.Errorf("by the second router, which is not distinguished: %v", a)
		}
	}
	o.Apply()
	o.wantReplies(t)
}
