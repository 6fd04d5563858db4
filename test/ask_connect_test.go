package test

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"replypath/health"
	"replypath/test/world"
	"replypath/uplinks"
)

func tcp(to netip.Addr, port uint16) health.Target {
	return health.Target{Kind: health.TCP, Host: to.String(), Port: port}
}

func page(to netip.Addr, rest string) health.Target {
	return health.Target{Kind: health.HTTP, URL: "http://" + netip.AddrPortFrom(to, 80).String() + rest}
}

func TestConnectionsLeaveByTheirUplink(t *testing.T) {
	eachBackend(t, func(t *testing.T, backend string) {
		eachCondition(t, func(t *testing.T, c conditions) {
			b := newBox(t, c.build(t, 2, world.Options{}), backend)
			b.Client.ServeTCP(servedPort)
			b.serveHTTP()
			b.apply()
			p, a := b.watch(), b.asker()
			for _, f := range uplinks.Families {
				for _, u := range b.Uplinks {
					for _, target := range []health.Target{tcp(b.client(f), servedPort), page(b.client(f), "/")} {
						a.answered(asking(path(u, f), target, lasting))
						reset := p.settled()
						p.leftBy(t, u, b.client(f))
						reset()
					}
				}
			}
			a.end()
		})
	})
}

func TestConnectionsOfADeadUplinkAreLost(t *testing.T) {
	b := newBox(t, conditions{rpFilter: 1}.build(t, 2, world.Options{}))
	b.Client.ServeTCP(servedPort)
	b.serveHTTP()
	b.apply()
	a, u := b.asker(), b.Uplinks[1]
	for _, f := range uplinks.Families {
		a.failed(asking(path(u, f), tcp(b.client(f), closedPort), lasting), "connection refused", "nobody serves this port")
		a.failed(asking(path(u, f), page(b.client(f), "/silent"), fleeting), "no answer within 300ms")
	}
	u.ISP.SetSysctl("net.ipv4.ip_forward", "0")
	u.ISP.SetSysctl("net.ipv6.conf.all.forwarding", "0")
	for _, f := range uplinks.Families {
		for _, target := range []health.Target{tcp(b.client(f), servedPort), page(b.client(f), "/")} {
			a.failed(asking(path(u, f), target, fleeting), "through eth1: no answer within 300ms")
			a.answered(asking(path(b.Uplinks[0], f), target, lasting))
		}
	}
	a.end()
}

func TestConnectionsAnsweredByAnotherUplinkAreFailures(t *testing.T) {
	for _, rp := range []int{0, 2} {
		t.Run(fmt.Sprintf("rp_filter %d", rp), func(t *testing.T) {
			b := newBox(t, conditions{rpFilter: rp}.build(t, 2, world.Options{}))
			b.Client.ServeTCP(servedPort)
			b.serveHTTP()
			b.apply()
			a := b.asker()
			for _, detoured := range []bool{false, true} {
				if detoured {
					b.detour()
				}
				for _, f := range uplinks.Families {
					for _, target := range []health.Target{tcp(b.client(f), servedPort), page(b.client(f), "/")} {
						if !detoured {
							a.answered(asking(path(b.Uplinks[1], f), target, lasting))
							continue
						}
						wire := b.Uplinks[0].Wire.Record()
						a.failed(asking(path(b.Uplinks[1], f), target, fleeting), "no answer within 300ms")
						b.Settle()
						if wire.Count(func(p world.Packet) bool { return p.Dir == world.Out && p.Flags.Is(world.SYN|world.ACK) }) == 0 {
							t.Errorf("%s: nothing was answered by the other uplink", f)
						}
					}
				}
			}
			a.end()
		})
	}
}

// A socket that is bound to a link has IPv4's routing take the target for a neighbour when no route leads there: then
// nobody answers, and nothing leaves by another link.
func TestConnectionsThatTheKernelRefuses(t *testing.T) {
	b := newBox(t, conditions{rpFilter: 1}.build(t, 2, world.Options{}))
	b.Client.ServeTCP(servedPort)
	b.apply()
	p, a, u := b.watch(), b.asker(), b.Uplinks[1]
	for action, words := range map[string]string{"prohibit": "a rule or route prohibits it", "unreachable": "no route", "blackhole": "a blackhole rule or route"} {
		for _, f := range uplinks.Families {
			words := words
			target, mark := tcp(b.client(f), servedPort), path(u, f).Mark.String()+"/"+path(u, f).Mask.String()
			if f == uplinks.IPv4 {
				words = "no answer within 300ms"
			}
			b.Gateway.Run("ip", flag(f), "rule", "add", "pref", "1", "fwmark", mark, action)
			a.failed(asking(path(u, f), target, fleeting), "through eth1: ", words)
			b.Gateway.Run("ip", flag(f), "rule", "del", "pref", "1", "fwmark", mark, action)
			p.Settle()
			if n := p.wires[0].Count(questions(b.client(f))); n != 0 {
				t.Errorf("%s %s: %d packets left by eth0", f, action, n)
			}
		}
	}
	for _, f := range uplinks.Families {
		gone := path(u, f)
		gone.Source = b.client(f)
		a.failed(asking(gone, tcp(b.client(f), servedPort), lasting), "eth1 has lost the address")
		gone = path(u, f)
		for _, gone.Index = range []int{0, 4711} {
			a.failed(asking(gone, tcp(b.client(f), servedPort), lasting), "eth1 has gone")
		}
	}
	a.end()
}

// The service at the target does not get to see the question, and no connection table keeps it.
func TestConnectionIsHungUpBeforeItIsComplete(t *testing.T) {
	b := newBox(t, conditions{rpFilter: 1}.build(t, 2, world.Options{}))
	b.Client.ServeTCP(servedPort)
	b.apply()
	a, u := b.asker(), b.Uplinks[1]
	for _, f := range uplinks.Families {
		for _, source := range []netip.Addr{path(u, f).Source, {}} {
			e := asking(path(u, f), tcp(b.client(f), servedPort), lasting)
			e.Path.Source = source
			wire := u.Wire.Record(func(p world.Packet) bool { return p.Proto == world.TCP && p.Family == int(f) })
			a.answered(e)
			b.Settle()
			var flags []world.TCPFlags
			for _, p := range wire.Packets() {
				flags = append(flags, p.Flags)
			}
			if want := []world.TCPFlags{world.SYN, world.SYN | world.ACK, world.RST | world.ACK}; !slices.Equal(flags, want) {
				t.Errorf("%s from %s: %v", f, source, flags)
			}
		}
		table := b.Gateway.Run("conntrack", "-L", "-f", strings.ToLower(f.String()), "-p", "tcp")
		for _, line := range strings.Split(strings.TrimSpace(table), "\n") {
			if !strings.Contains(line, " CLOSE ") {
				t.Errorf("it is remembered: %s", line)
			}
		}
	}
	a.end()
}
