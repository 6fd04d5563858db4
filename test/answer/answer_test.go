package answer

import (
	"fmt"
	"testing"

	"replypath/test/box"
	"replypath/test/world"
)

func TestWildcardServersReplyFromTheAddressThatWasAsked(t *testing.T) {
	for _, mode := range []world.UDPMode{world.Wildcard, world.Connect} {
		t.Run(string(mode), func(t *testing.T) {
			box.EachFirewall(t, func(t *testing.T, backend string) {
				for _, c := range []box.Conditions{{RPFilter: 1}, {RPFilter: 1, NoDefault: true}, {}} {
					t.Run(fmt.Sprint(c), func(t *testing.T) {
						b := newBox(t, c, world.Options{}, backend)
						b.Gateway.ServeUDP(box.ServedPort, mode)
						wantWrong(t, b)
						b.Apply()
						b.RecordEgress().WantRepliesFromAll(t, b.Client, datagrams)
					})
				}
			})
		})
	}
}

func TestAbsentOrOffNothingChanges(t *testing.T) {
	group := world.NewCgroup(t)
	for name, lines := range map[string][]string{"absent": nil, "off": {"[udp]", `answer = "off"`, `cgroup = "` + group + `"`}} {
		t.Run(name, func(t *testing.T) {
			b := box.New(t, box.Conditions{RPFilter: 1}.Build(t, 2, world.Options{}), lines...)
			b.Gateway.ServeUDP(box.ServedPort, world.Wildcard)
			b.Apply()
			wantWrong(t, b)
			wantNoPins(t)
		})
	}
}

func TestSecondAddressOfAnUplink(t *testing.T) {
	b := newBox(t, box.Conditions{RPFilter: 1}, world.Options{SecondAddr: []int{0, 1}})
	b.Gateway.ServeUDP(box.ServedPort, world.Wildcard)
	b.Apply()
	p := b.RecordEgress()
	for _, u := range b.Uplinks {
		p.WantReplies(t, b.Client, u, u.Second4, datagrams)
		p.WantReplies(t, b.Client, u, u.Second6, datagrams)
	}
}

func TestSocketsThatChoseTheirAddressAreLeftAlone(t *testing.T) {
	b := newBox(t, box.Conditions{RPFilter: 1}, world.Options{})
	b.Gateway.ServeUDP(box.ServedPort, world.Pktinfo)
	b.Apply()
	b.RecordEgress().WantRepliesFromAll(t, b.Client, datagrams)
}

func TestServersBehindARedirectReply(t *testing.T) {
	b := newBox(t, box.Conditions{RPFilter: 1}, world.Options{}, box.Backends[0])
	b.Gateway.ServeUDP(5000, world.Wildcard)
	for family := range 2 {
		b.Iptables([]int{4, 6}[family], "-t", "nat", "-A", "PREROUTING", "-p", "udp", "--dport", fmt.Sprint(box.ServedPort), "-j", "REDIRECT", "--to-ports", "5000")
	}
	b.Apply()
	b.RecordEgress().WantRepliesFromAll(t, b.Client, datagrams)
}
