package intercept

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"replypath/test/box"
	"replypath/test/world"
)

// documentedRecipe sets up interception as the kernel's documentation of TPROXY has it, for what comes in by the uplinks and for
// what the LAN asks.
func (p *proxied) documentedRecipe() {
	for i, ip := range []string{"ip", "ip -6"} {
		p.Shell(ip+" rule add fwmark 1 lookup 100", ip+" route add local default dev lo table 100")
		on := func(line string) {
			p.Iptables([]int{4, 6}[i], append([]string{"-w", "-t", "mangle"}, strings.Fields(line)...)...)
		}
		on("-N DIVERT")
		on("-A PREROUTING -p tcp -m socket -j DIVERT")
		on("-A DIVERT -j MARK --set-mark 1")
		on("-A DIVERT -j ACCEPT")
		for _, u := range p.Uplinks {
			on(fmt.Sprintf("-A PREROUTING -i %s -p tcp --dport 80 -j TPROXY --tproxy-mark 0x1/0x1 --on-port %d", u.Link.Name, inPort))
			on(fmt.Sprintf("-A PREROUTING -i %s -p udp --dport 5353 -j TPROXY --tproxy-mark 0x1/0x1 --on-port %d", u.Link.Name, proxyDNSPort))
		}
		on(fmt.Sprintf("-A PREROUTING -i lan0 -p tcp --dport 80 -j TPROXY --tproxy-mark 0x1/0x1 --on-port %d", outPort))
		on(fmt.Sprintf("-A PREROUTING -i lan0 -p tcp --dport 8088 -j TPROXY --tproxy-mark 1 --on-port %d", outPort))
		on(fmt.Sprintf("-A PREROUTING -i lan0 -p udp --dport 5353 -j TPROXY --tproxy-mark 0x1/0x1 --on-port %d", proxyDNSPort))
	}
}

// The recipe of the documents works beside replypath with the lines that doctor prints, whichever was there first.
func TestDoctorMendsTheRecipeOfTheDocuments(t *testing.T) {
	t.Parallel()
	box.EachFirewall(t, func(t *testing.T, backend string) {
		for _, after := range []bool{false, true} {
			t.Run(fmt.Sprintf("after replypath %t", after), func(t *testing.T) {
				t.Parallel()
				p := newProxied(t, box.Conditions{RPFilter: 1}, backend, false)
				p.carryLAN(p.Uplinks[0])
				p.Settings = p.Settings[:1]
				p.Configure(p.Uplinks...)
				p.startProxies()
				if after {
					p.Apply()
				}
				p.documentedRecipe()
				p.Apply()
				dead := p.Client.Send(world.Request{Kind: world.KindTCP, To: netip.AddrPortFrom(netip.MustParseAddr(intercepted4), webPort), Timeout: 2 * time.Second})
				if dead.OK {
					t.Fatalf("the recipe works as it is: the test proves nothing: %s", dead)
				}
				d := p.RunDoctor()
				for id, want := range map[string]int{"intercept-rule": 2, "mark-wiped": 2, "mark-bits-firewall": 0} {
					found := d.Of(id)
					if len(found) != want {
						t.Fatalf("%d findings %s, want %d:\n%s", len(found), id, want, d)
					}
					for _, f := range found {
						if len(f.Commands) != 2 {
							t.Errorf("%+v has %d commands, want 2", f, len(f.Commands))
						}
						p.Shell(f.Commands...)
					}
				}
				p.askIn(t)
				p.askOut(t, p.Uplinks[0], false)
				left := p.RunDoctor()
				if found := append(left.Of("intercept-rule"), left.Of("mark-wiped")...); len(found) > 0 {
					t.Errorf("still found: %+v", found)
				}
				p.Must(0, "plan")
			})
		}
	})
}

// Rules of a proxy before those of replypath keep the mark from what they accept, until replypath is applied again. In nftables
// none comes before.
func TestDoctorNamesAProxyThatTakesPacketsFirst(t *testing.T) {
	t.Parallel()
	box.EachBackend(t, func(t *testing.T, backend string) {
		p := newProxied(t, box.Conditions{RPFilter: 1}, backend, false)
		p.Settings = p.Settings[:1]
		p.Configure(p.Uplinks...)
		p.Apply()
		for _, family := range []int{4, 6} {
			for _, line := range []string{"-N DIVERT", "-A DIVERT -j MARK --set-xmark 0x1/0x1", "-A DIVERT -j ACCEPT", "-I PREROUTING -p tcp -m socket -j DIVERT"} {
				p.Iptables(family, append([]string{"-w", "-t", "mangle"}, strings.Fields(line)...)...)
			}
		}
		found := p.RunDoctor().Of("divert-first")
		if len(found) != 2 || found[0].Remedy != "replypath apply" || !strings.Contains(strings.Join(found[0].Evidence, " "), "-m socket -j DIVERT") {
			t.Fatalf("found %+v", found)
		}
		p.Apply()
		if found := p.RunDoctor().Of("divert-first"); len(found) > 0 {
			t.Errorf("still found: %+v", found)
		}
	})
}
