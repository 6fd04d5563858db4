package verify

import (
	"net/netip"
	"strings"
	"testing"

	"replypath/test/box"
	"replypath/test/world"
)

// knownPeer is a source of requests that strangers know.
const (
	knownPeer     = "203.0.113.252"
	knownSettings = "[proof]\nsource = [\"" + knownPeer + "\"]"
)

// newForgedWorld returns a host on which packets of the provider of the first uplink also reach the address of the second.
func newForgedWorld(t *testing.T, backend string) *box.Box {
	w := world.TwoISPs(t)
	w.Gateway.ServeTCP(box.ServedPort)
	b := box.New(t, w, backend, knownSettings)
	b.Apply()
	b.Uplinks[0].ISP.Run("ip", "route", "add", b.Uplinks[1].Addr4.String()+"/32", "via", b.Uplinks[0].Addr4.String())
	return b
}

// forge sends a request with the peer's address from each of its ports to both uplinks, by the first of them.
func forge(b *box.Box, kind world.Kind, first, last int) {
	for port := first; port <= last; port++ {
		for _, u := range b.Uplinks {
			b.Uplinks[0].ISP.Forge(world.Request{Kind: kind, From: netip.AddrPortFrom(netip.MustParseAddr(knownPeer), uint16(port)), To: u.Port4(box.ServedPort)})
		}
	}
}

// A stranger opens every connection that a proof can open, by another uplink: each then has the mark of that one.
func TestVerifyIsNotFooledByConnectionsOfAStranger(t *testing.T) {
	t.Parallel()
	b := newForgedWorld(t, box.Backends[0])
	b.Gateway.SetSysctl("net.netfilter.nf_conntrack_icmp_timeout", "600") // the stranger's connections stay, however long the proofs take
	const first, last = 32768, 65535
	box.Eventually(t, box.EventualTimeout, "the stranger has opened all connections", func() bool { // a busy machine drops some
		forge(b, world.KindPing, first, last)
		return strings.Count(b.Gateway.Run("conntrack", "-L", "-f", "ipv4", "-p", "icmp", "--orig-src", knownPeer), "icmp ") == len(b.Uplinks)*(last-first+1)
	})
	for range 3 {
		v := b.Verify()
		p := v.Path(b.Uplinks[1], 4)
		if q := p.Question("echo"); q.Result != "unknown" || q.Cause != "not-shown" {
			t.Errorf("the echo: %s", q.VerifyResult)
		}
		if p.Shown.Result != "yes" || v.Result != "yes" {
			t.Errorf("shown %s, result %s", p.Shown, v.Result)
		}
	}
}

// A stranger sends requests like those of a proof all the time: none of them is taken for one, and none gets an answer that is
// taken for one.
func TestVerifyIsNotFooledByForgedRequests(t *testing.T) {
	t.Parallel()
	box.EachFirewall(t, func(t *testing.T, backend string) {
		b := newForgedWorld(t, backend)
		stop, stopped := make(chan struct{}), make(chan struct{})
		go func() {
			defer close(stopped)
			for port := 32768; ; port = 32768 + (port+7)%32768 {
				select {
				case <-stop:
					return
				default:
				}
				for _, kind := range []world.Kind{world.KindPing, world.KindTCP, world.KindUDP} {
					forge(b, kind, port, port)
				}
			}
		}()
		for range 10 {
			if v := b.Verify(); v.Result != "yes" {
				for _, p := range v.Paths {
					t.Errorf("%s %s: asked %s, shown %s: %+v", p.Uplink, p.Family, p.Asked, p.Shown, p.Questions)
				}
			}
		}
		close(stop)
		<-stopped
	})
}
