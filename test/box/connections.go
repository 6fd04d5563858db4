package box

import (
	"context"
	"net/netip"
	"slices"
	"testing"
	"time"

	"replypath/test/world"
)

// connectionLoad is connections of the client's that must not notice what happens to the gateway: streams under load and
// idle ones.
type connectionLoad struct {
	*Box
	streams       map[netip.Addr]*world.Stream
	idle          map[netip.Addr]*world.Connections
	Strays        []*world.Recorder       // by uplink: what its ISP got whose source is not from there, not what it cannot deliver
	Others        func(world.Packet) bool // those that are none of the gateway's; nil: none
	LongestOutage time.Duration           // the longest time that the gateway was damaged
}

const (
	idleConnections = 50      // to each address
	progress        = 1 << 20 // bytes of each stream that prove that it goes on
	worstStall      = 20 * time.Second
	worstProgress   = time.Minute
)

// StartConnections opens idle connections to both addresses of the uplinks, and streams to those of one family.
func (b *Box) StartConnections(t *testing.T, family int, uplinks ...*world.Uplink) *connectionLoad {
	t.Helper()
	f := &connectionLoad{Box: b, streams: map[netip.Addr]*world.Stream{}, idle: map[netip.Addr]*world.Connections{}}
	for _, u := range b.Uplinks {
		f.Strays = append(f.Strays, u.Refused.Record(func(p world.Packet) bool { return Stray(p) && !u.Has(p.Src) }))
	}
	var err error
	for _, u := range uplinks {
		for _, to := range u.Addrs() {
			if f.idle[to], err = b.Client.Connect(NewRequest(world.KindTCP, to), idleConnections); err != nil {
				t.Fatal(err)
			}
		}
	}
	for _, u := range uplinks {
		to := map[int]netip.Addr{4: u.Addr4, 6: u.Addr6}[family]
		if f.streams[to], err = b.Client.Stream(NewRequest(world.KindTCP, to)); err != nil {
			t.Fatal(err)
		}
	}
	f.wantProgress(t)
	return f
}

// Stray reports whether a packet that an ISP refused is of the gateway's traffic: the link that it is sent to talks to
// itself as well.
func Stray(p world.Packet) bool {
	return p.Dir == world.Out && p.Family != 0 && !p.Src.IsLinkLocalUnicast() && !p.Src.IsUnspecified()
}

// wantProgress waits until every stream has carried more.
func (f *connectionLoad) wantProgress(t *testing.T) {
	t.Helper()
	ctx, stop := context.WithTimeout(t.Context(), worstProgress)
	defer stop()
	for to, s := range f.streams {
		if err := s.Await(ctx, progress); err != nil {
			t.Errorf("stream to %s: %v", to, err)
		}
	}
}

// WantUndisturbed wants every stream to go on, and no stray packet since the recorders were reset.
func (f *connectionLoad) WantUndisturbed(t *testing.T) {
	t.Helper()
	f.wantProgress(t)
	f.Settle()
	for i, r := range f.Strays {
		packets := r.Packets()
		if f.Others != nil {
			packets = slices.DeleteFunc(packets, f.Others)
		}
		if len(packets) != 0 {
			t.Errorf("%d packets strayed by eth%d; the first: %s", len(packets), i, packets[0])
		}
	}
}

// WantAlive wants that every connection has lived until now.
func (f *connectionLoad) WantAlive(t *testing.T) {
	t.Helper()
	for to, s := range f.streams {
		// TCP's patience between two attempts grows with the break: it can last as long again, and more.
		if c := s.Stop(); c.Reset || c.Err != nil || c.Stall > worstStall+2*f.LongestOutage {
			t.Errorf("stream to %s: reset %v, ended by %v, stalled for %s", to, c.Reset, c.Err, c.Stall)
		}
	}
	for to, c := range f.idle {
		if n := c.Alive(worstStall); n != idleConnections {
			t.Errorf("%d of %d idle connections to %s are alive", n, idleConnections, to)
		}
	}
}

// ResetStrays resets the recorders, which have settled.
func (f *connectionLoad) ResetStrays() {
	for _, r := range f.Strays {
		r.Reset()
	}
}
