package intercept

import (
	"fmt"
	"net/netip"
	"testing"

	"replypath/health"
	"replypath/test/box"
)

// farDNS takes datagrams for addresses of nobody, which the second ISP carries to the gateway.
const farDNS = "[intercept.far_dns]\nfrom = \"isp1\"\nprotocol = \"udp\"\nto = [\"198.18.88.0/24\", \"2001:db8:88::/64\"]\nports = 53\nproxy = 50053\n"

// udpFault makes the answers of a proxy of UDP stray.
type udpFault struct {
	name      string
	to        map[int]string // what is asked, by family
	intercept string
	cause     string
	plant     func(p *proxied, family int)
	remove    func(p *proxied, family int)
}

// strayByRule leads the packets that a rule selects by the first uplink.
func strayByRule(selector func(p *proxied, family int) string) (plant, remove func(p *proxied, family int)) {
	plant = func(p *proxied, family int) {
		router := map[int]netip.Addr{4: p.Uplinks[0].Router4, 6: p.Uplinks[0].Router6}[family]
		p.Shell(fmt.Sprintf("ip -%d rule add priority 100 %s lookup 77", family, selector(p, family)), fmt.Sprintf("ip -%d route add default via %s dev eth0 table 77", family, router))
	}
	remove = func(p *proxied, family int) {
		p.Shell(fmt.Sprintf("ip -%d rule del priority 100", family), fmt.Sprintf("ip -%d route flush table 77", family))
	}
	return plant, remove
}

// udpFaults returns faults of UDP alone: what else leaves by the second uplink is right.
func udpFaults(p *proxied) []udpFault {
	u := p.Uplinks[1]
	own := map[int]string{4: fmt.Sprintf("%s:%d", u.Addr4, dnsPort), 6: fmt.Sprintf("[%s]:%d", u.Addr6, dnsPort)}
	far := map[int]string{4: "198.18.88.1:53", 6: "[2001:db8:88::1]:53"}
	ownRule := udpFault{name: "a rule selects the port", to: own, intercept: "in_dns", cause: "rule-shadowed"}
	ownRule.plant, ownRule.remove = strayByRule(func(p *proxied, family int) string {
		return fmt.Sprintf("from %s ipproto udp sport %d", p.Uplinks[1].Addrs()[family/2-2], dnsPort)
	})
	farRule := udpFault{name: "a rule selects addresses of nobody", to: far, intercept: "far_dns", cause: "rule-shadowed"}
	farRule.plant, farRule.remove = strayByRule(func(_ *proxied, family int) string {
		return "from " + map[int]string{4: "198.18.88.0/24", 6: "2001:db8:88::/64"}[family]
	})
	mark := func(option string) func(p *proxied, family int) {
		return func(p *proxied, family int) {
			p.Iptables(family, "-w", "-t", "mangle", option, "OUTPUT", "-p", "udp", "--sport", fmt.Sprint(dnsPort), "-j", "MARK", "--set-xmark", "0x100/0xff00")
		}
	}
	return []udpFault{ownRule, farRule, {"OUTPUT sets a mark", own, "in_dns", "output-mark", mark("-A"), mark("-D")}}
}

// The answers of a proxy of UDP that stray are found, with their cause, though those of TCP are right.
func TestVerifyShowsThatAnswersOfAProxyOfUDPStray(t *testing.T) {
	t.Parallel()
	box.EachFirewall(t, func(t *testing.T, backend string) {
		p := newProxied(t, box.Conditions{RPFilter: 0}, backend, true)
		p.Settings[1] += farDNS
		p.Configure(p.Uplinks...)
		p.startProxies()
		p.Apply()
		for _, f := range udpFaults(p) {
			for _, family := range []int{4, 6} {
				f.plant(p, family)
			}
			v := p.Verify()
			for _, family := range []int{4, 6} {
				path := v.Path(p.Uplinks[1], family)
				f.wantFound(t, path.Verdict, path.Questions, family)
				f.remove(p, family)
			}
		}
		p.Verify().WantOK(t, 2)
	})
}

// wantFound wants that the fault is the verdict on the path, and that no other answer of a proxy strays.
func (f udpFault) wantFound(t *testing.T, verdict box.VerifyResult, questions []box.VerifyPacket, family int) {
	t.Helper()
	if verdict.Result != "no" || verdict.Cause != f.cause {
		t.Errorf("%s, IPv%d: %v, want no (%s)", f.name, family, verdict, f.cause)
	}
	found := false
	for _, q := range questions {
		if q.Proxy == nil {
			continue
		}
		result, left := "yes", "eth1"
		if q.Protocol == "udp" && q.To == f.to[family] {
			result, left, found = "no", "eth0", q.Proxy.Intercept == f.intercept && q.Cause == f.cause
		}
		if q.Result != result || q.Left != left {
			t.Errorf("%s, IPv%d: %s://%s: %v, leaves by %s, want %s by %s", f.name, family, q.Protocol, q.To, q.VerifyResult, q.Left, result, left)
		}
	}
	if !found {
		t.Errorf("%s, IPv%d: no answer from %s for %s: %+v", f.name, family, f.to[family], f.intercept, questions)
	}
}

// The service finds it too, and the proxy gets nothing of its proofs.
func TestServiceFindsThatAnswersOfAProxyOfUDPStray(t *testing.T) {
	t.Parallel()
	box.EachFirewall(t, func(t *testing.T, backend string) {
		p := newProxied(t, box.Conditions{RPFilter: 0}, backend, true)
		p.startProxies()
		p.Start()
		p.AwaitUp()
		faults := udpFaults(p)
		mark := faults[len(faults)-1]
		for _, family := range []int{4, 6} {
			mark.plant(p, family)
		}
		p.AwaitState(p.Uplinks[1], health.Unproven)
		if n := p.dns.datagrams.Load(); n > 0 {
			t.Errorf("the proxy got %d datagrams of the proofs", n)
		}
	})
}

// The proxy answers from the translated address, which connection tracking translates back.
func TestVerifyShowsAnswersFromTranslatedAddresses(t *testing.T) {
	t.Parallel()
	box.EachFirewall(t, func(t *testing.T, backend string) {
		p := newTranslated(t, backend)
		v := p.Verify()
		v.WantOK(t, 2)
		for _, u := range p.Uplinks {
			for i, a := range u.Addrs() {
				shown := false
				for _, q := range v.Path(u, []int{4, 6}[i]).Questions {
					shown = shown || q.Proxy != nil && q.Protocol == "udp" && q.To == netip.AddrPortFrom(a, dnsPort).String() && q.Left == u.Link.Name
				}
				if !shown {
					t.Errorf("%s: no answer of the proxy: %+v", a, v.Path(u, []int{4, 6}[i]).Questions)
				}
			}
		}
	})
}
