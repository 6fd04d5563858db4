package answer

import (
	"sync"
	"testing"

	"replypath/test/box"
	"replypath/test/world"
)

func TestMain(m *testing.M) { box.Main(m) }

// newBox returns a box whose configuration has answer = "asked" for a control group of the test, which all servers are in.
func newBox(t *testing.T, c box.Conditions, o world.Options, settings ...string) *box.Box {
	t.Helper()
	return newBoxIn(t, world.NewCgroup(t), c, o, settings...)
}

// newBoxIn returns a box for a control group.
func newBoxIn(t *testing.T, group string, c box.Conditions, o world.Options, settings ...string) *box.Box {
	t.Helper()
	settings = append(settings, "[udp]", `answer = "asked"`, `cgroup = "`+group+`"`)
	return box.New(t, c.Build(t, 2, o), settings...)
}

// datagrams is the one kind of request that these tests send.
var datagrams = []world.Kind{world.KindUDP}

// wantWrong sends a datagram to each address of the second uplink, and wants no reply from it.
func wantWrong(t *testing.T, b *box.Box) {
	t.Helper()
	var sent sync.WaitGroup
	for _, to := range b.Uplinks[1].Addrs() {
		sent.Go(func() {
			q := box.NewRequest(world.KindUDP, to)
			q.ExpectTimeout = true
			if a := b.Client.Send(q); a.OK {
				t.Errorf("a wildcard socket without help replied from %s", to)
			}
		})
	}
	sent.Wait()
}
