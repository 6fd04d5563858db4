package intercept

import (
	"net/netip"
	"regexp"
	"testing"
	"time"

	"replypath/test/box"
	"replypath/test/world"
)

// The recipe of the documents, with masks and before replypath's rules, is mended by the lines that doctor prints.
func TestDoctorMendsAForeignRecipe(t *testing.T) {
	t.Parallel()
	box.EachBackend(t, func(t *testing.T, backend string) {
		p := newProxied(t, box.Conditions{RPFilter: 1}, backend, true)
		p.Settings = p.Settings[:1]
		p.Configure(p.Uplinks...)
		p.startProxies()
		p.Apply()
		for i, ip := range []string{"ip", "ip -6"} {
			p.Shell(ip+" rule add priority 1500 fwmark 0x40000/0x40000 lookup 100", ip+" route add local default dev lo table 100")
			on := func(args ...string) { p.Iptables([]int{4, 6}[i], append([]string{"-w", "-t", "mangle"}, args...)...) }
			on("-N", "DIVERT")
			on("-A", "DIVERT", "-j", "MARK", "--set-xmark", "0x40000/0x40000")
			on("-A", "DIVERT", "-j", "ACCEPT")
			on("-A", "PREROUTING", "-p", "tcp", "-m", "socket", "--transparent", "-j", "DIVERT")
			on("-A", "PREROUTING", "-i", "lan0", "-p", "tcp", "--dport", "80", "-j", "TPROXY", "--on-port", "50090", "--tproxy-mark", "0x40000/0x40000")
		}
		asked := []netip.AddrPort{netip.AddrPortFrom(p.Client4, webPort)}
		for _, to := range asked {
			if a := p.LAN.Send(world.Request{Kind: world.KindTCP, To: to, Timeout: 2 * time.Second}); a.OK {
				t.Fatalf("%s is answered with the recipe as it is: the test proves nothing: %s", to, a)
			}
		}
		d := p.RunDoctor()
		found := d.Of("intercept-rule")
		if len(found) != 2 {
			t.Fatalf("%d findings:\n%s", len(found), d)
		}
		for _, f := range found {
			p.Shell(regexp.MustCompile(`ip (-6 )?rule add [^;]*`).FindString(f.Remedy))
		}
		for _, to := range asked {
			p.ask(t, p.LAN, world.KindTCP, to.String(), 0, byProxy+p.Client.Name)
		}
		if left := p.RunDoctor().Of("intercept-rule"); len(left) > 0 {
			t.Errorf("still found: %v", left)
		}
	})
}
