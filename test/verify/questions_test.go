package verify

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"replypath/test/box"
	"replypath/test/world"
)

// lanAddr returns the address of the LAN host in the family.
func lanAddr(b *box.Box, family int) netip.Addr {
	if family == 4 {
		return b.LAN4
	}
	return b.LAN6
}

// forwardPorts adds the usual port forwardings to the LAN host on all uplinks: by iptables, or by chains of nft(8) with a map.
func forwardPorts(b *box.Box, byNFT bool) {
	for _, family := range []int{4, 6} {
		to := lanAddr(b, family)
		if byNFT {
			f := nftFamily(family)
			b.Shell(fmt.Sprintf("nft add table %s fw; nft 'add chain %[1]s fw pre { type nat hook prerouting priority dstnat; }'", f),
				fmt.Sprintf("nft 'add rule %s fw pre iifname { eth0, eth1 } tcp dport 2222 dnat to %s'", f, netip.AddrPortFrom(to, box.ServedPort)),
				fmt.Sprintf("nft 'add rule %s fw pre iifname { eth0, eth1 } dnat to udp dport map { 5000 : %s . %d }'", f, to, box.ServedPort))
			continue
		}
		for _, link := range []string{"eth0", "eth1"} {
			b.Iptables(family, "-t", "nat", "-A", "PREROUTING", "-i", link, "-p", "tcp", "--dport", "2222", "-j", "DNAT", "--to", netip.AddrPortFrom(to, box.ServedPort).String())
			b.Iptables(family, "-t", "nat", "-A", "PREROUTING", "-i", link, "-p", "udp", "-m", "multiport", "--dports", "5000,5002", "-j", "DNAT", "--to", netip.AddrPortFrom(to, box.ServedPort).String())
		}
	}
}

// services returns the ports of the services that were asked of the path, in order.
func services(packets []box.VerifyPacket) (ports []string) {
	for _, q := range packets {
		if q.Kind == "service" {
			ports = append(ports, q.Protocol+" "+q.To[strings.LastIndex(q.To, ":")+1:])
		}
	}
	return ports
}

// TestVerifyAsksWhatDNATForwards configures no service: the rules are read. The mark that is reset on the LAN side breaks only
// what is forwarded.
func TestVerifyAsksWhatDNATForwards(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		byNFT bool
		want  string
	}{"iptables": {false, "[tcp 2222 udp 5000 udp 5002]"}, "nft": {true, "[tcp 2222 udp 5000]"}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			box.EachBackend(t, func(t *testing.T, backend string) {
				w := world.TwoISPs(t)
				box.ServeAll(w.LAN)
				b := box.New(t, w, backend)
				forwardPorts(b, c.byNFT)
				b.Apply()
				wires := uplinkWires(b)
				v := b.Verify()
				v.WantOK(t, 2)
				for _, p := range v.Paths {
					if got := fmt.Sprint(services(p.Questions)); got != c.want {
						t.Errorf("%s %s: asked for %s, want %s", p.Uplink, p.Family, got, c.want)
					}
				}
				wantNoPackets(t, b, wires)
				if half := b.LAN.Run("ss", "-Htan", "state", "syn-recv"); half != "" {
					t.Errorf("half-open on the LAN host: %s", half)
				}
				for _, family := range []int{4, 6} {
					b.Iptables(family, "-t", "mangle", "-A", "PREROUTING", "-i", w.LANLink.Name, "-j", "MARK", "--set-mark", "0")
					v := b.Verify()
					v.Path(w.Uplinks[0], family).WantShown(t, "yes prerouting-mark")
					v.Path(w.Uplinks[1], family).WantShown(t, "no prerouting-mark")
				}
			})
		})
	}
}

// TestVerifyAsksWhatDNATForwardsFromFurtherAddresses forwards a port of the second address of each uplink to the LAN host, and one of both
// addresses, which is asked once.
func TestVerifyAsksWhatDNATForwardsFromFurtherAddresses(t *testing.T) {
	t.Parallel()
	w := world.TwoISPs(t)
	box.ServeAll(w.LAN)
	b := box.New(t, w)
	second := map[string]map[int]string{"eth0": {4: "198.51.100.77", 6: "2001:db8:a::77"}, "eth1": {4: "192.0.2.77", 6: "2001:db8:b::77"}}
	for link, addrs := range second {
		b.Shell("ip addr add "+addrs[4]+"/24 dev "+link, "ip addr add "+addrs[6]+"/64 dev "+link+" nodad")
		for family, a := range addrs {
			to := netip.AddrPortFrom(lanAddr(b, family), box.ServedPort).String()
			b.Iptables(family, "-t", "nat", "-A", "PREROUTING", "-d", a, "-p", "tcp", "--dport", "2222", "-j", "DNAT", "--to", to)
			b.Iptables(family, "-t", "nat", "-A", "PREROUTING", "-i", link, "-p", "tcp", "--dport", "2223", "-j", "DNAT", "--to", to)
		}
	}
	b.Apply()
	v := b.Verify()
	v.WantOK(t, 2)
	for _, u := range w.Uplinks {
		for _, family := range []int{4, 6} {
			var asked []string
			for _, q := range v.Path(u, family).Questions {
				if to := netip.MustParseAddrPort(q.To); q.Kind == "service" && (to.Port() != 2222 || to.Addr().String() == second[u.Link.Name][family]) {
					asked = append(asked, fmt.Sprint(to.Port()))
				}
			}
			if got := fmt.Sprint(asked); got != "[2222 2223]" {
				t.Errorf("%s IPv%d: asked for %s", u.Link.Name, family, got)
			}
		}
	}
	for _, family := range []int{4, 6} {
		b.Iptables(family, "-t", "mangle", "-A", "PREROUTING", "-i", w.LANLink.Name, "-p", "tcp", "-m", "conntrack", "--ctorigdst", second["eth1"][family], "-j", "MARK", "--set-mark", "0")
		b.Verify().Path(w.Uplinks[1], family).WantShown(t, "no prerouting-mark")
	}
}

// TestVerifyAsksNoHostThatDoesNotExist forwards a port to an address that nobody has: nothing is sent to it, and the kernel's own
// error, three seconds later, does not leave for the peer.
func TestVerifyAsksNoHostThatDoesNotExist(t *testing.T) {
	t.Parallel()
	w := world.TwoISPs(t)
	b := box.New(t, w)
	b.Iptables(4, "-t", "nat", "-A", "PREROUTING", "-p", "tcp", "--dport", "2222", "-j", "DNAT", "--to", "198.18.0.99")
	b.Apply()
	wires := uplinkWires(b)
	v := b.Verify()
	v.WantOK(t, 2)
	if asked := services(v.Path(w.Uplinks[1], 4).Questions); asked != nil {
		t.Errorf("asked for %s", asked)
	}
	box.Eventually(t, box.EventualTimeout, "the kernel gives up", func() bool {
		return !strings.Contains(b.Gateway.Run("ip", "neigh", "show", "to", "198.18.0.99"), "INCOMPLETE")
	})
	wantNoPackets(t, b, wires)
}

// TestVerifyAsksForTheConfiguredServices sets prove: a list replaces the search for services.
func TestVerifyAsksForTheConfiguredServices(t *testing.T) {
	t.Parallel()
	for setting, want := range map[string]string{`prove = ["tcp://:2222"]`: "[tcp 2222]", `prove = []`: "[]", `prove = "auto"`: "[tcp 2222 udp 5000 udp 5002]"} {
		w := world.TwoISPs(t)
		box.ServeAll(w.LAN)
		b := box.New(t, w, setting)
		forwardPorts(b, false)
		b.Apply()
		v := b.Verify()
		v.WantOK(t, 2)
		if got := fmt.Sprint(services(v.Path(w.Uplinks[1], 4).Questions)); got != want {
			t.Errorf("%s: asked for %s, want %s", setting, got, want)
		}
	}
}

// TestVerifyAsksWhatRulesSelect plants rules that select one port only, of replies of the host.
func TestVerifyAsksWhatRulesSelect(t *testing.T) {
	t.Parallel()
	mangle := func(args ...string) func(b *box.Box, family int) {
		return func(b *box.Box, family int) { b.Iptables(family, append([]string{"-t", "mangle"}, args...)...) }
	}
	for name, c := range map[string]struct {
		plant func(b *box.Box, family int)
		want  string
	}{
		"an ip rule for a TCP port":        {ipRule("ipproto", "tcp", "sport", "8443"), "no rule-shadowed"},
		"an ip rule for a UDP port":        {ipRule("ipproto", "udp", "sport", "53"), "no rule-shadowed"},
		"an ip rule for any port":          {ipRule("sport", "9000-9010"), "no rule-shadowed"},
		"an ip rule for a type of service": {ipRule("tos", "0x10"), "no rule-shadowed"},
		"a mark for a port in OUTPUT, and a rule for it": {func(b *box.Box, family int) {
			mangle("-A", "OUTPUT", "-p", "tcp", "--sport", "8443", "-j", "MARK", "--set-xmark", "0x10000/0x10000")(b, family)
			ipRule("fwmark", "0x10000/0x10000")(b, family)
		}, "no output-mark"},
		"a chain of nft for a UDP port": {func(b *box.Box, family int) {
			f := nftFamily(family)
			b.Shell(fmt.Sprintf("nft add table %s t; nft 'add chain %[1]s t o { type route hook output priority mangle; }'; nft add rule %[1]s t o udp sport 123 meta mark set meta mark or 0x10000", f))
			ipRule("fwmark", "0x10000/0x10000")(b, family)
		}, "no output-mark"},
		"a drop behind the routes": {mangle("-A", "POSTROUTING", "-p", "tcp", "--sport", "8443", "-j", "DROP"), "no reply-dropped"},
		"a chain that is reached for a port": {func(b *box.Box, family int) {
			mangle("-N", "SHAPE")(b, family)
			mangle("-A", "SHAPE", "-j", "MARK", "--set-xmark", "0x100/0x1f00")(b, family)
			mangle("-A", "OUTPUT", "-p", "tcp", "--sport", "8443", "-j", "SHAPE")(b, family)
		}, "no output-mark"},
		"a verdict map of nft that leads to a chain":  {verdictMap("route hook output priority -100", "jump shape"), "no output-mark"},
		"a verdict map of nft that drops":             {verdictMap("filter hook postrouting priority 50", "drop"), "no reply-dropped"},
		"a chain behind the routes, by a verdict map": {verdictMap("filter hook postrouting priority 50", "goto stop"), "no reply-dropped"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := world.TwoISPs(t)
			w.Gateway.ServeTCP(80)
			b := box.New(t, w)
			b.Apply()
			b.Verify().WantOK(t, 2)
			for _, family := range []int{4, 6} {
				c.plant(b, family)
				b.Verify().Path(w.Uplinks[1], family).WantShown(t, c.want)
			}
		})
	}
}

// verdictMap adds a chain whose map has the verdict for TCP port 8443: the chain shape sets the mark of the first uplink, stop drops.
func verdictMap(base, verdict string) func(b *box.Box, family int) {
	return func(b *box.Box, family int) {
		b.Shell(fmt.Sprintf("nft add table %s t; nft add chain %[1]s t shape; nft add rule %[1]s t shape meta mark set 0x100; nft add chain %[1]s t stop; nft add rule %[1]s t stop drop", nftFamily(family)),
			fmt.Sprintf("nft 'add chain %s t o { type %s; }'; nft 'add rule %[1]s t o tcp sport vmap { 1 : accept, 8443 : %[3]s }'", nftFamily(family), base, verdict))
	}
}

// TestVerifyAsksAsUsersThatRulesSelect plants a rule for a user. The kernel leaves out the user of a packet of IPv4 when it looks up
// its route again, for the mark that it got: that reply is right.
func TestVerifyAsksAsUsersThatRulesSelect(t *testing.T) {
	t.Parallel()
	w := world.TwoISPs(t)
	b := box.New(t, w)
	b.Apply()
	for family, want := range map[int]string{4: "yes", 6: "no rule-shadowed"} {
		ipRule("uidrange", "1000-1001")(b, family)
		p := b.Verify().Path(w.Uplinks[1], family)
		p.WantShown(t, want)
		if family == 6 && !strings.Contains(p.Shown.Why, "uidrange 1000-1001") {
			t.Errorf("the rule is not named: %s", p.Shown.Why)
		}
	}
}

// ipRule adds a rule before replypath's that looks up a table with the first uplink's gateway.
func ipRule(selectors ...string) func(b *box.Box, family int) {
	return func(b *box.Box, family int) {
		b.Gateway.Run("ip", ipOf(family), "route", "replace", "default", "via", routerOf(b, family), "dev", "eth0", "table", "99")
		b.Gateway.Run("ip", append([]string{ipOf(family), "rule", "add", "priority", "90", "lookup", "99"}, selectors...)...)
	}
}
