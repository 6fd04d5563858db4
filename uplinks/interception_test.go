package uplinks_test

import (
	"net/netip"
	"slices"
	"strings"
	"testing"

	"replypath/marks"
	"replypath/uplinks"
	"replypath/uplinks/uplinkstest"
)

// chainsOf returns the rules of replypath's chains of a family in a desired state, as iptables prints them.
func chainsOf(s uplinks.State, family uplinks.Family) (lines []string) {
	for _, k := range s.SortedChains() {
		if k.Firewall.Family != family {
			continue
		}
		for _, r := range s.Chains[k].Rules {
			lines = append(lines, "-A "+k.Name+" "+r.String())
		}
	}
	return lines
}

func TestWithoutAProxyNewConnectionsPassOrAreDropped(t *testing.T) {
	s, facts := withIntercepts(uplinkstest.Settings()), uplinkstest.Facts()
	const (
		take = "-A REPLYPATH-TP-web -p tcp -m conntrack --ctstate NEW -j TPROXY --on-port 50080 --on-ip 0.0.0.0 --tproxy-mark 0x10/0x10"
		pass = "-A REPLYPATH-TP-web -p tcp -m conntrack --ctstate NEW -j RETURN"
		drop = "-A REPLYPATH-TP-dns -p udp -m conntrack --ctstate NEW -j DROP"
	)
	for state, taken := range map[uplinks.ProxyState]bool{
		uplinks.ProxyUnknown: true, uplinks.ProxyListening: true, uplinks.ProxyNobody: false, uplinks.ProxyNotTransparent: false,
	} {
		facts.Proxies = map[uplinks.Proxy]uplinks.ProxyState{}
		for _, p := range s.Proxies() {
			facts.Proxies[p] = state
		}
		got := chainsOf(uplinks.Desired(s, facts, nil), uplinks.IPv4)
		if slices.Contains(got, take) != taken || slices.Contains(got, pass) == taken || !slices.Contains(got, drop) {
			t.Errorf("%q:\n%s", state, strings.Join(got, "\n"))
		}
	}
}

// A proxy that listens and does not answer gets no new connection, in either way.
func TestNewConnectionsKeepOffAProxyThatDoesNotAnswer(t *testing.T) {
	s, facts := withIntercepts(uplinkstest.Settings()), uplinkstest.Facts()
	facts.Proxies = map[uplinks.Proxy]uplinks.ProxyState{}
	for i := range s.Interception.Intercepts {
		s.Interception.Intercepts[i].Check = "tcp://127.0.0.1:50080"
	}
	for _, p := range s.Proxies() {
		facts.Proxies[p] = uplinks.ProxyNotAnswering
	}
	got := chainsOf(uplinks.Desired(s, facts, nil), uplinks.IPv4)
	for line, want := range map[string]bool{
		"-A REPLYPATH-TP-web -p tcp -m conntrack --ctstate NEW -j RETURN":                              true,
		"-A REPLYPATH-TP-dns -p udp -m conntrack --ctstate NEW -j DROP":                                true,
		"-A REPLYPATH-TP-dns -p udp -m conntrack --ctstate NEW -j CONNMARK --set-xmark 0x10/0x10":      false,
		"-A REPLYPATH-TP-web -p tcp -m conntrack --ctstate NEW -j CONNMARK --set-xmark 0x10/0x10":      false,
		"-A REPLYPATH-TP-web -p tcp -j TPROXY --on-port 50080 --on-ip 0.0.0.0 --tproxy-mark 0x10/0x10": true,
	} {
		if slices.Contains(got, line) != want {
			t.Errorf("%q: %t\n%s", line, !want, strings.Join(got, "\n"))
		}
	}
}

func TestInterceptOfOneFamilyHasNoChainInTheOther(t *testing.T) {
	facts := uplinkstest.Facts()
	for _, change := range []func(*uplinks.Intercept){
		func(i *uplinks.Intercept) { i.To.In = []netip.Prefix{netip.MustParsePrefix("203.0.113.0/24")} },
		func(i *uplinks.Intercept) { i.Sources.In = []netip.Prefix{netip.MustParsePrefix("198.18.0.0/24")} },
		func(i *uplinks.Intercept) { i.Addr = netip.MustParseAddr("198.18.0.1") },
	} {
		s := withIntercepts(uplinkstest.Settings())
		change(&s.Interception.Intercepts[0])
		want := uplinks.Desired(s, facts, nil)
		has := func(f uplinks.Family) bool {
			return strings.Contains(strings.Join(chainsOf(want, f), "\n"), "REPLYPATH-TP-dns")
		}
		if !has(uplinks.IPv4) || has(uplinks.IPv6) || len(s.Interception.Intercepts[0].Proxies()) != 2 {
			t.Errorf("IPv4 %t, IPv6 %t, proxies %v", has(uplinks.IPv4), has(uplinks.IPv6), s.Interception.Intercepts[0].Proxies())
		}
	}
}

// A family without uplinks has chains for interception alone.
func TestInterceptionNeedsNoUplinkInTheFamily(t *testing.T) {
	s, facts := withIntercepts(uplinkstest.Settings()), uplinkstest.Facts()
	for i := range s.Uplinks {
		s.Uplinks[i].Gateway6 = uplinks.Gateway{}
	}
	want := uplinks.Desired(s, facts, nil)
	pre := want.Chains[uplinks.ChainKey{Firewall: facts.Firewalls[uplinks.IPv6], Name: marks.Pre}].Rules
	if jump, _ := marks.InterceptJumps(); len(pre) != 1 || pre[0] != jump {
		t.Errorf("the chain is %v", pre)
	}
	if len(want.Hooks) != 5 {
		t.Errorf("%d hooks, want three in IPv4 and two in IPv6", len(want.Hooks))
	}
}

func TestChainsOfInterceptionAreReadBack(t *testing.T) {
	for _, family := range uplinks.Families {
		for _, line := range chainsOf(uplinks.Desired(withIntercepts(uplinkstest.Settings()), uplinkstest.Facts(), nil), family) {
			_, text, _ := strings.Cut(strings.TrimPrefix(line, "-A "), " ")
			if r, err := marks.ParseRule(text); err != nil || r.String() != text {
				t.Errorf("%q is read as %q, %v", text, r, err)
			}
		}
	}
}

// Nftables has the hooks of interception behind those of replies, and every rule in its own syntax.
func TestInterceptionInNftables(t *testing.T) {
	for name, uplinksManaged := range map[string]bool{"with uplinks": true, "without uplinks": false} {
		s, facts := withIntercepts(uplinkstest.Settings()), uplinkstest.Facts()
		if !uplinksManaged {
			s.Uplinks = nil
		}
		for family, k := range facts.Firewalls {
			k.Backend, k.Command = marks.Nftables, "nft"
			facts.Firewalls[family] = k
		}
		want := uplinks.Desired(s, facts, nil)
		hooks := map[string]int{}
		for k := range want.Hooks {
			hooks[k.Hook.Rule.Action.Chain]++
		}
		if hooks[marks.Proxied] != 2 || hooks[marks.FromProxy] != 2 || (hooks[marks.Pre] == 2) != uplinksManaged {
			t.Errorf("%s: hooks %v", name, hooks)
		}
		for k, chain := range want.Chains {
			for _, r := range chain.Rules {
				if _, err := r.NFT(k.Firewall.Family == uplinks.IPv6); err != nil && !marks.IsMap(k.Name) {
					t.Errorf("%s: %s: %v", name, k.Name, err)
				}
			}
		}
		if _, replies := want.Chains[uplinks.ChainKey{Firewall: facts.Firewalls[uplinks.IPv4], Name: marks.Pre}]; replies != uplinksManaged {
			t.Errorf("%s: the chain of the replies: %t", name, replies)
		}
	}
}

func TestSocketThatTakesInterceptedConnections(t *testing.T) {
	at := func(text string) uplinks.Listener {
		a := netip.MustParseAddrPort(text)
		return uplinks.Listener{Addr: a.Addr(), Port: a.Port()}
	}
	only := at("[::]:50080")
	only.V6Only = true
	any4, any6 := uplinks.Proxy{Family: uplinks.IPv4, Port: 50080}, uplinks.Proxy{Family: uplinks.IPv6, Port: 50080}
	one := uplinks.Proxy{Family: uplinks.IPv4, Port: 50080, Addr: netip.MustParseAddr("198.18.0.1")}
	for _, c := range []struct {
		l    uplinks.Listener
		p    uplinks.Proxy
		want bool
	}{
		{at("0.0.0.0:50080"), any4, true}, {at("0.0.0.0:50080"), any6, false}, {at("0.0.0.0:50081"), any4, false},
		{at("[::]:50080"), any4, true}, {at("[::]:50080"), any6, true}, {only, any4, false}, {only, any6, true},
		{at("198.18.0.1:50080"), one, true}, {at("198.18.0.2:50080"), one, false}, {at("0.0.0.0:50080"), one, true}, {at("127.0.0.1:50080"), any4, false},
	} {
		if got := c.l.TakesProxied(c.p); got != c.want {
			t.Errorf("%+v for %s: %t", c.l, c.p, got)
		}
	}
}
