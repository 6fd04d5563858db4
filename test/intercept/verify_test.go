package intercept

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"replypath/test/box"
)

// Nothing but the proxy answers on the port, also for addresses of nobody.
func TestVerifyNamesTheProxyThatAnswers(t *testing.T) {
	t.Parallel()
	box.EachFirewall(t, func(t *testing.T, backend string) {
		p := newProxied(t, box.Conditions{RPFilter: 1}, backend, true)
		p.Settings[1] += "[intercept.far]\nfrom = \"isp1\"\nto = [\"198.18.88.0/24\", \"2001:db8:88::/64\"]\nports = 443\nproxy = 50080\n" + farDNS
		p.Configure(p.Uplinks...)
		p.startProxies()
		p.Apply()
		v := p.Verify()
		v.WantOK(t, 2)
		for _, u := range p.Uplinks {
			for _, family := range []int{4, 6} {
				taken := map[string]bool{}
				for _, q := range v.Path(u, family).Questions {
					if q.Proxy != nil {
						taken[fmt.Sprintf("%s://%s by %s on %d leaves by %s", q.Protocol, q.To, q.Proxy.Intercept, q.Proxy.Port, q.Left)] = true
					}
				}
				own := u.Addrs()[family/2-2]
				want := []string{fmt.Sprintf("tcp://%s by in on 50080 leaves by %s", netip.AddrPortFrom(own, webPort), u.Link.Name),
					fmt.Sprintf("udp://%s by in_dns on 50053 leaves by %s", netip.AddrPortFrom(own, dnsPort), u.Link.Name)}
				if u.Index == 1 {
					far := map[int]string{4: "198.18.88.1", 6: "[2001:db8:88::1]"}[family]
					want = append(want, "tcp://"+far+":443 by far on 50080 leaves by eth1", "udp://"+far+":53 by far_dns on 50053 leaves by eth1")
				}
				for _, w := range want {
					if !taken[w] {
						t.Errorf("isp%d IPv%d: %q is not among %v", u.Index, family, w, taken)
					}
				}
				if len(taken) != len(want) {
					t.Errorf("isp%d IPv%d: %v, want %v", u.Index, family, taken, want)
				}
			}
		}
		output := p.Must(0, "verify").Stdout
		for _, line := range []string{
			fmt.Sprintf("isp1 ipv4 intercepted: tcp://%s:80 reaches the proxy on port 50080 (intercept in), and its answer leaves by eth1", p.Uplinks[1].Addr4),
			fmt.Sprintf("isp1 ipv6 intercepted: udp://[%s]:5353 is given to the proxy on port 50053 (intercept in_dns), and what is answered from there leaves by eth1", p.Uplinks[1].Addr6),
		} {
			if !strings.Contains(output, line) {
				t.Errorf("verify does not print %q:\n%s", line, output)
			}
		}
		if n := p.dns.datagrams.Load(); n > 0 {
			t.Errorf("the proxy of UDP got %d datagrams of the proofs", n)
		}
		p.in.close()
		p.dns.close()
		if output := p.Must(0, "verify").Stdout; strings.Contains(output, "intercepted") {
			t.Errorf("verify without the proxy:\n%s", output)
		}
	})
}

func TestVerifyShowsAnswersOfAProxyThatStray(t *testing.T) {
	t.Parallel()
	p := newProxied(t, box.Conditions{RPFilter: 0}, box.Backends[0], true)
	p.startProxies()
	p.Apply()
	u := p.Uplinks[1]
	p.Shell(fmt.Sprintf("ip rule add priority 100 from %s sport 80 ipproto tcp lookup 77", u.Addr4), fmt.Sprintf("ip route add default via %s dev eth0 table 77", p.Uplinks[0].Router4))
	shown, strayed := p.Verify().Path(u, 4), 0
	for _, q := range shown.Questions {
		if q.Proxy != nil && q.Result == "no" && q.Left == "eth0" {
			strayed++
		}
	}
	if strayed == 0 {
		t.Errorf("no answer of the proxy strays: %+v", shown)
	}
	if output := p.Must(3, "verify").Stdout; !strings.Contains(output, "and its answer leaves by eth0") {
		t.Errorf("verify prints\n%s", output)
	}
}
