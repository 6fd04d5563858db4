package killed

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"replypath/marks"
	"replypath/test/world"
	"replypath/uplinks"
)

// servedPort is the port of the server outside that connections from inside go to.
const servedPort = 7002

// Connections that begin inside, on the host and behind it, live through a change of policies by processes that are killed after one
// write each; new ones are answered after each write, and no provider gets a packet with a source that is not its own.
func TestKillAtAnyWriteOfPoliciesLeaksNothing(t *testing.T) {
	first := uplinks.Outbound{Default: "eth0", Masquerade: uplinks.MasqueradeBoth, Policies: []uplinks.Policy{policyOf("eth0", false, "eth0")}}
	spread := uplinks.Outbound{Default: "all", Masquerade: uplinks.MasqueradeBoth, Policies: []uplinks.Policy{policyOf("all", true, "eth0", "eth1"), policyOf("eth1", false, "eth1")},
		Rules: []uplinks.Steering{{Name: "own", IIF: "lo", Use: "eth1"}}}
	masquerade := []string{"-t", "nat", "-A", "POSTROUTING", "-o", "eth+", "-j", "MASQUERADE"}
	for _, test := range []struct {
		name     string
		backend  marks.Backend
		from, to uplinks.Outbound
		operator []string // the operator's address translation, without which nothing leaves that begins behind the host
		damage   []string
		exchange bool // the ids of the uplinks, too
	}{
		{name: "switched on", backend: marks.NFT, to: spread, operator: masquerade},
		{name: "switched off", backend: marks.Legacy, from: first, operator: masquerade},
		{name: "changed", backend: marks.Legacy, from: first, to: spread},
		{name: "repaired", backend: marks.NFT, from: first, to: first, operator: masquerade, damage: []string{
			"ip -4 rule flush protocol 82", "ip -6 rule flush protocol 82", "ip route flush proto 82 table all", "ip -6 route flush proto 82 table all", "iptables-nft -w -t mangle -F REPLYPATH-PIN",
			"ip6tables-nft -w -t mangle -D POSTROUTING 1",
		}},
		{name: "switched on by nftables", backend: marks.Nftables, to: spread, operator: masquerade},
		{name: "repaired by nftables", backend: marks.Nftables, from: first, to: first, operator: masquerade, damage: []string{
			"ip -4 rule flush protocol 82", "ip -6 rule flush protocol 82", "nft flush chain inet replypath ip-pin", "nft flush map inet replypath ip6-pin-map", "nft flush chain inet replypath nat-postrouting",
		}},
		{name: "ids are exchanged", backend: marks.Nftables, from: both("eth1"), to: both("eth0"), exchange: true},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			s := newPolicyHost(t, test.backend, test.operator)
			from, to := s.settings(2), s.settings(2)
			if from.Outbound, to.Outbound = test.from, test.to; test.exchange {
				s.exchangeIDs(to)
			}
			s.sync(to)
			whole := s.lines()
			s.sync(from)
			s.hold() // not before: switched on once, the connections would have marks
			for _, line := range test.damage {
				s.w.Gateway.Run("sh", "-c", line)
			}
			writes := 0
			for ; s.kill(1, to); writes++ {
				when := fmt.Sprintf("killed after write %d", writes)
				s.checkNew(when)
				s.checkConnections(when)
			}
			if now := s.lines(); now != whole {
				t.Fatalf("in the end there is\n%s\ninstead of\n%s", now, whole)
			}
			if !test.exchange { // without replypath nothing leads what has begun by the second uplink there
				s.flush("in the end")
			}
			t.Logf("killed after each of %d writes", writes)
			if writes < 8 {
				t.Error("there were fewer than 8 writes")
			}
		})
	}
}

// otherBits is a table of another program that gives every packet a bit of its own, before those of replypath.
const otherBits = `table inet other {
	chain prerouting { type filter hook prerouting priority -160; meta mark set meta mark or 0x10000; }
	chain output { type route hook output priority -160; meta mark set meta mark or 0x10000; }
}`

// exchangeIDs exchanges the ids of the uplinks, on a host where every packet has a bit of another program.
func (s *connectedHost) exchangeIDs(to uplinks.Settings) {
	s.t.Helper()
	slices.Reverse(to.Uplinks)
	to.Uplinks[0].ID, to.Uplinks[1].ID = 1, 2
	s.w.Gateway.Run("nft", otherBits)
}

// both returns policies of both uplinks, of which one is for what no rule chooses.
func both(usual string) uplinks.Outbound {
	return uplinks.Outbound{Default: usual, Masquerade: uplinks.MasqueradeBoth, Policies: []uplinks.Policy{policyOf("eth0", false, "eth0"), policyOf("eth1", false, "eth1")}}
}

// policyOf returns a policy with one tier of uplinks.
func policyOf(name string, sticky bool, members ...string) uplinks.Policy {
	p := uplinks.Policy{Name: name, Tiers: [][]uplinks.Member{nil}, StickyClient: sticky, LastResort: uplinks.LastMain}
	for _, m := range members {
		p.Tiers[0] = append(p.Tiers[0], uplinks.Member{Uplink: m, Weight: 1})
	}
	return p
}

// newPolicyHost returns a connected host whose server outside is the world's client, with address translation by the operator if
// there are rules for it.
func newPolicyHost(t *testing.T, backend marks.Backend, operator []string) *connectedHost {
	t.Helper()
	s := newConnectedHost(t, backend)
	for _, command := range []string{"iptables-", "ip6tables-"} {
		if len(operator) > 0 {
			s.w.Gateway.Run(command+map[marks.Backend]string{marks.NFT: "nft", marks.Nftables: "nft", marks.Legacy: "legacy"}[backend], operator...)
		}
	}
	for _, family := range []string{"ipv4", "ipv6"} {
		s.w.Gateway.SetSysctl("net."+family+".fib_multipath_hash_policy", "1")
	}
	s.w.Client.ServeTCP(servedPort)
	s.w.Client.ServeUDP(servedPort, world.Pktinfo)
	s.initial = s.snapshot()
	return s
}

// lines returns the lines of a snapshot without their order: chains have that of their addition.
func (s *connectedHost) lines() string {
	s.t.Helper()
	return strings.Join(slices.Sorted(strings.Lines(s.snapshot())), "")
}

// servers returns the addresses of the server outside.
func (s *connectedHost) servers() []netip.Addr { return []netip.Addr{s.w.Client4, s.w.Client6} }

// hold opens connections from the host and from behind it, that must survive every change.
func (s *connectedHost) hold() {
	s.t.Helper()
	for _, from := range []*world.Host{s.w.LAN, s.w.Gateway} {
		for _, to := range s.servers() {
			c, err := from.Connect(world.Request{Kind: world.KindTCP, To: netip.AddrPortFrom(to, servedPort)}, connectionsPerAddress)
			if err != nil {
				s.t.Fatal(err)
			}
			s.connections[from.Name+" to "+to.String()] = c
		}
	}
}

// checkNew requires replies to new requests of the host and of one behind it, and no packet with a foreign source.
func (s *connectedHost) checkNew(when string) {
	s.t.Helper()
	for _, from := range []*world.Host{s.w.LAN, s.w.Gateway} {
		for _, to := range s.servers() {
			for _, kind := range []world.Kind{world.KindTCP, world.KindUDP} {
				a := from.Send(world.Request{Kind: kind, To: netip.AddrPortFrom(to, servedPort), Timeout: time.Minute})
				if !a.OK {
					s.t.Fatalf("%s: %s from %s to %s: %v", when, kind, from.Name, to, a)
				}
			}
		}
	}
	for i, r := range s.strays {
		if packets := r.Packets(); len(packets) != 0 {
			s.t.Fatalf("%s: %d packets strayed by eth%d; the first: %s", when, len(packets), i, packets[0])
		}
	}
}
