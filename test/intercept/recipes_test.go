package intercept

import (
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"replypath/etc"
	"replypath/test/box"
	"replypath/uplinks"
)

// recipeBlock returns the configuration of a program on the page of recipes.
func recipeBlock(t *testing.T, program string) string {
	t.Helper()
	_, rest, found := strings.Cut(string(etc.Recipes), "\n```"+program+"\n")
	text, _, closed := strings.Cut(rest, "\n```\n")
	if !found || !closed {
		t.Fatalf("the page has no block of %s", program)
	}
	return text + "\n"
}

// runConfigured starts a program of the page with more in its configuration.
func (p *proxied) runConfigured(t *testing.T, program, more string, args ...string) {
	t.Helper()
	config := filepath.Join(p.Dir, program+".conf")
	if err := os.WriteFile(config, []byte(recipeBlock(t, program)+more), 0o644); err != nil {
		t.Fatal(err)
	}
	p.RunProgram(t, program, append(args, config)...)
}

func TestSquidOfTheRecipesIntercepts(t *testing.T) {
	t.Parallel()
	box.EachFirewall(t, func(t *testing.T, backend string) {
		for _, second := range []bool{false, true} {
			t.Run(fmt.Sprintf("by the second uplink %t", second), func(t *testing.T) {
				t.Parallel()
				p := newProxied(t, box.Conditions{RPFilter: 1}, backend, true)
				const port = 8081
				p.Settings[1] = fmt.Sprintf("[intercept.web]\nfrom = \"lan0\"\nports = %d\nproxy = 50080\n", port)
				p.Configure(p.Uplinks...)
				serveVia(t, p.Client, port)
				p.runConfigured(t, "squid", "pid_filename none\naccess_log none\ncache_log /dev/null\ncache deny all\nvisible_hostname gateway\nshutdown_lifetime 0 seconds\n", "-N", "-f")
				u := p.Uplinks[0]
				if second {
					u = p.Uplinks[1]
					p.RouteToClientBy(u)
				}
				p.Start()
				p.awaitProxies(t, "web", uplinks.ProxyListening)
				for to, seen := range map[netip.Addr]netip.Addr{p.Client4: u.Addr4, p.Client6: u.Addr6} {
					wantViaPrefix(t, p.LAN, netip.AddrPortFrom(to, port), seen.String()+" via 1.1 gateway")
				}
			})
		}
	})
}

func TestUnboundOfTheRecipesInterceptsDNS(t *testing.T) {
	t.Parallel()
	box.EachFirewall(t, func(t *testing.T, backend string) {
		p := newProxied(t, box.Conditions{RPFilter: 1}, backend, true)
		p.Settings[1] = "[intercept.dns]\nfrom = \"lan0\"\nprotocol = [\"udp\", \"tcp\"]\nports = 53\nproxy = 53\n"
		p.Configure(p.Uplinks...)
		p.runConfigured(t, "unbound", "    chroot: \"\"\n    username: \"\"\n    pidfile: \"\"\n    directory: \"/\"\n    use-syslog: no\n    do-daemonize: no\nremote-control:\n    control-enable: no\n", "-d", "-c")
		p.Start()
		box.Eventually(t, box.EventualTimeout, "unbound takes datagrams and connections", func() bool {
			n := 0
			for _, s := range p.ServiceStatus().Proxies {
				if s.State == uplinks.ProxyListening {
					n++
				}
			}
			return n == 4
		})
		p.AwaitInSync()
		asked := []string{p.Client4.String(), p.Client6.String(), "203.0.113.77", p.Uplinks[0].Router4.String()}
		for _, to := range asked {
			for _, transport := range []string{"+notcp", "+tcp"} {
				got := p.LAN.Run("dig", "@"+to, transport, "+short", "+tries=1", "+time=20", "intercepted.example", "TXT")
				if !strings.Contains(got, "by-the-gateway") {
					t.Errorf("dig %s @%s: %s", transport, to, got)
				}
			}
		}
	})
}
