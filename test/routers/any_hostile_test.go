package routers

import (
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"replypath/test/box"
)

// pinger asks the gateway by forged routers, one question at a time, and sees to which router each reply is sent.
type pinger struct {
	*office
	frames  *rawFrames
	replies echoReplies
	from    []netip.Addr
	to      []netip.Addr
	asked   uint16
}

// pingerBy returns a pinger on the shared link.
func (o *office) pingerBy(t *testing.T) *pinger {
	t.Helper()
	other := o.Routers[1]
	return &pinger{office: o, frames: o.rawFramesTo(t, other), replies: repliesAt(t, o.Port), from: []netip.Addr{other.Client4, other.Client6}, to: o.to()}
}

// ask sends a question of a family as the first packet of a connection, and returns to which router its reply is sent.
func (p *pinger) ask(t *testing.T, family int, by net.HardwareAddr) net.HardwareAddr {
	t.Helper()
	p.asked++
	p.frames.ping(by, p.from[family], p.to[family], p.asked)
	for {
		if got, id := p.replies.next(); id == p.asked {
			return slices.Clone(got)
		}
	}
}

// awaitReplies waits until the reply to each of the routers is sent to it, in all families that have a question.
func (p *pinger) awaitReplies(t *testing.T, routers ...net.HardwareAddr) {
	t.Helper()
	for family := range p.to {
		for _, mac := range routers {
			box.Eventually(t, box.EventualTimeout, fmt.Sprintf("the reply to %s by %s is sent to it", p.to[family], mac), func() bool {
				return slices.Equal(p.ask(t, family, mac), mac)
			})
		}
	}
}

// wantReplies wants the replies to be sent to the routers, from the first on.
func (p *pinger) wantReplies(t *testing.T, routers ...net.HardwareAddr) {
	t.Helper()
	for family := range p.to {
		for _, mac := range routers {
			if got := p.ask(t, family, mac); !slices.Equal(got, mac) {
				t.Errorf("the reply to %s by %s is sent to %s", p.to[family], mac, got)
			}
		}
	}
}

// Of 300 routers, the 250 that have live connections keep their ids; the replies to the others leave by the gateway.
func TestMoreRoutersThanIDs(t *testing.T) {
	t.Parallel()
	o := newOffice(t, box.Backends[0], "mask = 0xff00")
	o.configureAny()
	o.saveFound(t, "dsl", manyRouters)
	for _, name := range []string{"nf_conntrack_icmp_timeout", "nf_conntrack_icmpv6_timeout"} {
		o.Gateway.SetSysctl("net.netfilter."+name, "3600")
	}
	o.Apply()
	all := make([]net.HardwareAddr, 300)
	for i := range all {
		all[i] = routerMAC(i)
	}
	p := o.pingerBy(t)
	p.wantReplies(t, all[:manyRouters]...)
	s := o.Start()
	gateway := o.Routers[0].MAC
	box.Eventually(t, box.EventualTimeout, "there is no id for further routers", func() bool {
		for _, mac := range all[manyRouters:] {
			for family := range p.to {
				if got := p.ask(t, family, mac); got.String() != gateway {
					t.Fatalf("the reply by the gateway to %s is sent to %s", mac, got)
				}
			}
		}
		return strings.Contains(s.Log.String(), "all ids for routers are in use")
	})
	p.wantReplies(t, all[:manyRouters]...)
	found := o.ServiceStatus().Uplinks[1].FoundRouters
	if len(found) != manyRouters || !strings.Contains(s.Log.String(), "ids=250") {
		t.Errorf("%d routers are found", len(found))
	}
	if d := o.RunDoctor(); len(d.Of("unknown-router")) > 0 {
		t.Error(d)
	}
}

// A hardware address is a router of its own on each link: replies leave by the link of the request.
func TestRouterThatMovesBetweenLinks(t *testing.T) {
	t.Parallel()
	box.EachFirewall(t, func(t *testing.T, backend string) {
		o := newOffice(t, backend)
		o.configureAny()
		o.Write(strings.Replace(o.config(t), "[uplinks.dsl]", "routers = \"any\"\n[uplinks.dsl]", 1))
		o.start(t)
		mac := routerMAC(77)
		eth1 := o.pingerBy(t)
		wire := o.Uplinks[0].Wire
		eth0 := &pinger{office: o, frames: o.rawFramesBy(t, wire, "eth0"), replies: repliesAt(t, wire), from: eth1.from, to: o.Uplinks[0].Addrs()}
		for range 2 {
			eth1.awaitReplies(t, mac)
			eth0.awaitReplies(t, mac)
		}
		eth1.wantReplies(t, mac)
		eth0.wantReplies(t, mac)
		for i := range 2 {
			box.Eventually(t, box.EventualTimeout, "the status has the router on both links", func() bool {
				found := o.ServiceStatus().Uplinks[i].FoundRouters
				return len(found) == 1 && found[0].MAC == mac.String()
			})
		}
	})
}

// Where the uplink has one family, routers are found by it, and nothing is made for the other one.
func TestRouterOfOneFamilyIsFound(t *testing.T) {
	t.Parallel()
	box.EachFirewall(t, func(t *testing.T, backend string) {
		o := newOffice(t, backend)
		for family, gateway := range []netip.Addr{o.Routers[0].Addr4, o.Routers[0].LL} {
			o.Write(strings.Join(o.Settings, "\n") + fmt.Sprintf("\n[uplinks.dsl]\nid = 2\ninterface = \"eth1\"\ngateway = %q\nrouters = \"any\"\n", gateway))
			s := o.Start()
			mac := routerMAC(33 + family)
			p := o.pingerBy(t)
			p.from, p.to = p.from[family:family+1], p.to[family:family+1]
			p.awaitReplies(t, mac)
			p.wantReplies(t, mac)
			if n := strings.Count(o.Gateway.Run("ip", "neigh", "show", "nud", "permanent", "dev", "eth1"), mac.String()); n != 1 {
				t.Errorf("family %d: %d neighbour entries", family, n)
			}
			s.Stop()
			o.Must(0, "flush")
		}
	})
}

// startAfterKill starts a service once the last child of a killed one, which may still be about to execute its program, has given
// the lock up.
func (o *office) startAfterKill(t *testing.T) (s *box.Service) {
	t.Helper()
	box.Eventually(t, box.EventualTimeout, "the next service is ready", func() bool {
		s = o.Launch()
		for {
			select {
			case text := <-s.Notifications:
				if strings.Contains(text, "READY=1") {
					return true
				}
			case <-s.Ended:
				return false
			}
		}
	})
	return s
}

// A service that is killed while it learns routers leaves nothing that the next one does not put right, and none of the routers that it
// had put in force loses a reply between.
func TestServiceIsKilledWhileItLearns(t *testing.T) {
	t.Parallel()
	box.EachFirewall(t, func(t *testing.T, backend string) {
		t.Parallel()
		o := newOffice(t, backend)
		o.configureAny()
		p := o.pingerBy(t)
		var known []net.HardwareAddr
		for i := range 5 {
			s := o.startAfterKill(t)
			p.wantReplies(t, known...)
			next := []net.HardwareAddr{routerMAC(4 * i), routerMAC(4*i + 1), routerMAC(4*i + 2), routerMAC(4*i + 3)}
			box.Eventually(t, box.EventualTimeout, fmt.Sprintf("a router is found, and %d get their replies", i), func() bool {
				right := 0
				for _, mac := range next {
					if slices.Equal(p.ask(t, i%2, mac), mac) {
						right++
					}
				}
				return right >= i && strings.Contains(s.Log.String(), "a router was found")
			})
			s.Kill()
			for _, mac := range next {
				if slices.Equal(p.ask(t, 0, mac), mac) && slices.Equal(p.ask(t, 1, mac), mac) {
					known = append(known, mac)
				}
			}
			p.wantReplies(t, known...)
		}
		s := o.startAfterKill(t)
		for i := range 20 {
			p.awaitReplies(t, routerMAC(i))
		}
		p.wantReplies(t, known...)
		o.AwaitInSync()
		s.Stop()
		o.Must(0, "flush")
		if left := o.Gateway.Run("ip", "neigh", "show", "nud", "permanent", "dev", "eth1") + o.Gateway.Run("nft", "list", "ruleset") + o.Gateway.Run("iptables-legacy", "-t", "mangle", "-S") +
			o.Gateway.Run("ip", "route", "show", "table", "all"); strings.Contains(left, "240.0.82.") || strings.Contains(left, "REPLYPATH") {
			t.Errorf("flush has left:\n%s", left)
		}
	})
}
