package answer

import (
	"fmt"
	"net"
	"net/netip"
	"testing"
	"time"

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

// A socket that a server connects to its client gets one address of the uplink, whichever of them was asked: the kernel lets no program
// bind a socket that has its port. The reply leaves by the right uplink.
func TestConnectedSocketHasOneAddressOfTheUplink(t *testing.T) {
	box.EachFirewall(t, func(t *testing.T, backend string) {
		b := newBox(t, box.Conditions{RPFilter: 1}, world.Options{SecondAddr: []int{1}}, backend)
		b.Gateway.ServeUDP(box.ServedPort, world.Connect)
		b.Apply()
		u := b.Uplinks[1]
		for _, asked := range [][]netip.Addr{{u.Addr4, u.Second4}, {u.Addr6, u.Second6}} {
			p := b.RecordEgress()
			replies := func(uplink int) (n []int) { return []int{p.Replies(uplink, asked[0]), p.Replies(uplink, asked[1])} }
			for i, to := range asked {
				socket := dialShared(t, b, b.ClientPort(), netip.AddrPortFrom(to, box.ServedPort))
				if _, err := socket.Write([]byte("question")); err != nil {
					t.Fatal(err)
				}
				box.Eventually(t, box.EventualTimeout, "there is a reply", func() bool { n := replies(u.Index); return n[0]+n[1] > i })
			}
			p.Settle()
			if right, stray := replies(u.Index), replies(0); right[0]*right[1] != 0 || stray[0]+stray[1] != 0 {
				t.Errorf("of the replies to questions to %s, %d have these addresses, and %d left by the other uplink", asked, right, stray)
			}
		}
	})
}

func TestSocketsThatChoseTheirAddressAreLeftAlone(t *testing.T) {
	b := newBox(t, box.Conditions{RPFilter: 1}, world.Options{})
	b.Gateway.ServeUDP(box.ServedPort, world.Pktinfo)
	b.Apply()
	b.RecordEgress().WantRepliesFromAll(t, b.Client, datagrams)
}

// A server that chooses the address of each reply gets it, also if the client has asked another address since.
func TestChosenAddressIsLeftAlone(t *testing.T) {
	box.EachFirewall(t, func(t *testing.T, backend string) {
		b := newBox(t, box.Conditions{RPFilter: 1}, world.Options{}, backend)
		b.Apply()
		for family := range 2 {
			first, second := b.Uplinks[0].Addrs()[family], b.Uplinks[1].Addrs()[family]
			server := chooses(t, b.Gateway, first)
			for _, order := range [][2]netip.Addr{{first, second}, {second, first}} {
				port := b.ClientPort()
				var questions []message
				clients := map[netip.Addr]*net.UDPConn{}
				for _, to := range order {
					clients[to] = dialShared(t, b, port, netip.AddrPortFrom(to, box.ServedPort))
					if _, err := clients[to].Write([]byte("question")); err != nil {
						t.Fatal(err)
					}
					q, err := server.receive()
					if err != nil || q.to != to {
						t.Fatalf("a question to %s: %+v, %v", to, q, err)
					}
					questions = append(questions, q)
				}
				for _, q := range questions {
					if err := server.reply(q); err != nil {
						t.Fatal(err)
					}
					if err := clients[q.to].SetReadDeadline(time.Now().Add(box.EventualTimeout)); err != nil {
						t.Fatal(err)
					}
					if _, err := clients[q.to].Read(make([]byte, 16)); err != nil {
						t.Errorf("%s was asked, and then %s: %v", order[0], order[1], err)
					}
				}
			}
		}
	})
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
