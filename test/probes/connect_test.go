package probes

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"replypath/health"
	"replypath/test/box"
	"replypath/test/world"
	"replypath/uplinks"
)

func tcpTarget(to netip.Addr, port uint16) health.Target {
	return health.Target{Kind: health.TCP, Host: to.String(), Port: port}
}

func httpTarget(to netip.Addr, rest string) health.Target {
	return health.Target{Kind: health.HTTP, URL: "http://" + netip.AddrPortFrom(to, 80).String() + rest}
}

func TestConnectionProbesLeaveByTheirUplink(t *testing.T) {
	t.Parallel()
	box.EachFirewall(t, func(t *testing.T, backend string) {
		box.EachCondition(t, func(t *testing.T, c box.Conditions) {
			b := box.New(t, c.Build(t, 2, world.Options{}), backend)
			b.Client.ServeTCP(box.ServedPort)
			serveHTTP(b)
			b.Apply()
			p, a := b.RecordEgress(), startProber(b)
			for _, f := range uplinks.Families {
				for _, u := range b.Uplinks {
					for _, target := range []health.Target{tcpTarget(clientAddrIn(b, f), box.ServedPort), httpTarget(clientAddrIn(b, f), "/")} {
						a.wantReply(newProbe(probePath(u, f), target, replyTimeout))
						p.Settle()
						wantLeftBy(t, p, u, clientAddrIn(b, f))
						p.Begin()
					}
				}
			}
			a.stop()
		})
	})
}

func TestConnectionProbesOfADeadUplinkTimeOut(t *testing.T) {
	t.Parallel()
	b := box.New(t, box.Conditions{RPFilter: 1}.Build(t, 2, world.Options{}))
	b.Client.ServeTCP(box.ServedPort)
	serveHTTP(b)
	b.Apply()
	a, u := startProber(b), b.Uplinks[1]
	for _, f := range uplinks.Families {
		a.wantError(newProbe(probePath(u, f), tcpTarget(clientAddrIn(b, f), box.ClosedPort), replyTimeout), "connection refused", "the port is closed")
		a.wantError(newProbe(probePath(u, f), httpTarget(clientAddrIn(b, f), "/silent"), noReplyTimeout), "no reply within 300ms")
	}
	u.ISP.SetSysctl("net.ipv4.ip_forward", "0")
	u.ISP.SetSysctl("net.ipv6.conf.all.forwarding", "0")
	for _, f := range uplinks.Families {
		for _, target := range []health.Target{tcpTarget(clientAddrIn(b, f), box.ServedPort), httpTarget(clientAddrIn(b, f), "/")} {
			a.wantError(newProbe(probePath(u, f), target, noReplyTimeout), "through eth1: no reply within 300ms")
			a.wantReply(newProbe(probePath(b.Uplinks[0], f), target, replyTimeout))
		}
	}
	a.stop()
}

func TestConnectionProbesAnsweredByAnotherUplinkFail(t *testing.T) {
	t.Parallel()
	for _, rp := range []int{0, 2} {
		t.Run(fmt.Sprintf("rp_filter %d", rp), func(t *testing.T) {
			b := box.New(t, box.Conditions{RPFilter: rp}.Build(t, 2, world.Options{}))
			b.Client.ServeTCP(box.ServedPort)
			serveHTTP(b)
			b.Apply()
			a := startProber(b)
			for _, detoured := range []bool{false, true} {
				if detoured {
					routeRepliesByFirst(b)
				}
				for _, f := range uplinks.Families {
					for _, target := range []health.Target{tcpTarget(clientAddrIn(b, f), box.ServedPort), httpTarget(clientAddrIn(b, f), "/")} {
						if !detoured {
							a.wantReply(newProbe(probePath(b.Uplinks[1], f), target, replyTimeout))
							continue
						}
						wire := b.Uplinks[0].Wire.Record()
						a.wantError(newProbe(probePath(b.Uplinks[1], f), target, noReplyTimeout), "no reply within 300ms")
						b.Settle()
						if wire.Count(func(p world.Packet) bool { return p.Dir == world.Out && p.Flags.Is(world.SYN|world.ACK) }) == 0 {
							t.Errorf("%s: nothing was answered by the other uplink", f)
						}
					}
				}
			}
			a.stop()
		})
	}
}

// A socket that is bound to a link has IPv4's routing take the target for a neighbour when no route leads there: then
// no reply comes, and no packet leaves by another link.
func TestConnectionProbesReportWhyTheKernelRefuses(t *testing.T) {
	t.Parallel()
	b := box.New(t, box.Conditions{RPFilter: 1}.Build(t, 2, world.Options{}))
	b.Client.ServeTCP(box.ServedPort)
	b.Apply()
	p, a, u := b.RecordEgress(), startProber(b), b.Uplinks[1]
	for action, words := range map[string]string{"prohibit": "a rule or route prohibits it", "unreachable": "no route", "blackhole": "a blackhole rule or route"} {
		for _, f := range uplinks.Families {
			words := words
			target, mark := tcpTarget(clientAddrIn(b, f), box.ServedPort), probePath(u, f).Mark.String()+"/"+probePath(u, f).Mask.String()
			if f == uplinks.IPv4 {
				words = "no reply within 300ms"
			}
			b.Gateway.Run("ip", ipFlag(f), "rule", "add", "pref", "1", "fwmark", mark, action)
			a.wantError(newProbe(probePath(u, f), target, noReplyTimeout), "through eth1: ", words)
			b.Gateway.Run("ip", ipFlag(f), "rule", "del", "pref", "1", "fwmark", mark, action)
			p.Settle()
			if n := p.Wires[0].Count(requestsTo(clientAddrIn(b, f))); n != 0 {
				t.Errorf("%s %s: %d packets left by eth0", f, action, n)
			}
		}
	}
	for _, f := range uplinks.Families {
		gone := probePath(u, f)
		gone.Source = clientAddrIn(b, f)
		a.wantError(newProbe(gone, tcpTarget(clientAddrIn(b, f), box.ServedPort), replyTimeout), "eth1 has lost the address")
		gone = probePath(u, f)
		for _, gone.Index = range []int{0, 4711} {
			a.wantError(newProbe(gone, tcpTarget(clientAddrIn(b, f), box.ServedPort), replyTimeout), "eth1 has disappeared")
		}
	}
	a.stop()
}

// The service at the target does not get to see the request, and no connection table keeps it.
func TestTCPProbeResetsBeforeTheHandshakeCompletes(t *testing.T) {
	t.Parallel()
	b := box.New(t, box.Conditions{RPFilter: 1}.Build(t, 2, world.Options{}))
	b.Client.ServeTCP(box.ServedPort)
	b.Apply()
	a, u := startProber(b), b.Uplinks[1]
	for _, f := range uplinks.Families {
		for _, source := range []netip.Addr{probePath(u, f).Source, {}} {
			e := newProbe(probePath(u, f), tcpTarget(clientAddrIn(b, f), box.ServedPort), replyTimeout)
			e.Path.Source = source
			wire := u.Wire.Record(func(p world.Packet) bool { return p.Proto == world.TCP && p.Family == int(f) })
			a.wantReply(e)
			b.Settle()
			var flags []world.TCPFlags
			for _, p := range wire.Packets() {
				flags = append(flags, p.Flags)
			}
			flags = slices.Compact(flags) // a busy machine may send a segment again
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
	a.stop()
}
