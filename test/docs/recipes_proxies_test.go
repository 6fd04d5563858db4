package docs

import (
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"replypath/test/box"
)

// masqueradedLAN hides the network inside behind the addresses of the uplinks. The client serves HTTP to it.
func (c *recipeRun) masqueradedLAN() {
	c.t.Helper()
	c.eachFamily([][2]string{{"198.18.0.0/24", "2001:db8:f::/64"}},
		"@iptables -t nat -A POSTROUTING -o eth0 -s @0 -j MASQUERADE",
		"@iptables -t nat -A POSTROUTING -o eth1 -s @0 -j MASQUERADE")
	server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { fmt.Fprintf(w, "via %s", r.Header.Get("Via")) })}
	for _, network := range []string{"tcp4", "tcp6"} {
		var l net.Listener
		var err error
		c.Client.Do(func() { l, err = net.Listen(network, ":80") })
		if err != nil {
			c.t.Fatal(err)
		}
		go server.Serve(l)
	}
	c.t.Cleanup(func() { server.Close() })
}

// proxyPrograms are the transparent proxies of the page: what a test adds to their configuration, how they are started with it,
// and how it is seen that they take what the LAN asks.
var proxyPrograms = map[string]struct {
	more  string
	args  []string
	check func(c *recipeRun, t *testing.T)
}{
	"squid": {"pid_filename none\naccess_log none\ncache_log /dev/null\ncache deny all\nvisible_hostname gateway\nshutdown_lifetime 0 seconds\n",
		[]string{"-N", "-f"}, (*recipeRun).wantWebByProxy},
	"unbound": {"    chroot: \"\"\n    username: \"\"\n    pidfile: \"\"\n    directory: \"/\"\n    use-syslog: no\n    do-daemonize: no\nremote-control:\n    control-enable: no\n",
		[]string{"-d", "-c"}, (*recipeRun).wantDNSByProxy},
}

// startProxy starts the program that the block configures.
func (c *recipeRun) startProxy(b codeBlock) {
	c.t.Helper()
	program := proxyPrograms[b.language]
	file := filepath.Join(c.Dir, b.language+".conf")
	if err := os.WriteFile(file, []byte(strings.Join(b.lines, "\n")+"\n"+program.more), 0o644); err != nil {
		c.t.Fatal(err)
	}
	c.RunProgram(c.t, b.language, append(program.args, file)...)
	c.checks = append(c.checks, func(t *testing.T) { program.check(c, t) })
	box.Eventually(c.t, box.EventualTimeout, b.language+" listens", func() bool {
		list := c.Gateway.Run("ss", "-Hltun")
		return strings.Contains(list, map[string]string{"squid": ":50080", "unbound": "[::]:53"}[b.language]+" ")
	})
}

// wantWebByProxy wants a proxy's answer to what the LAN asks the client.
func (c *recipeRun) wantWebByProxy(t *testing.T) {
	by := box.TransportFrom(c.LAN)
	for _, to := range []netip.Addr{c.Client4, c.Client6} {
		if _, text := box.Get(t, by, "http://"+netip.AddrPortFrom(to, 80).String()+"/"); !strings.HasPrefix(text, "via 1.1 gateway") {
			t.Errorf("%s: %q, want an answer by the proxy", to, text)
		}
	}
}

// wantDNSByProxy asks the client, which serves no DNS.
func (c *recipeRun) wantDNSByProxy(t *testing.T) {
	for _, to := range []netip.Addr{c.Client4, c.Client6} {
		for _, transport := range []string{"+notcp", "+tcp"} {
			got := c.LAN.Run("dig", "@"+to.String(), transport, "+short", "+tries=1", "+time=5", "intercepted.example", "TXT")
			if !strings.Contains(got, "by-the-gateway") {
				t.Errorf("dig %s @%s: %s", transport, to, got)
			}
		}
	}
}

// documentedTPROXY adds the rules of the kernel's documentation (Documentation/networking/tproxy.rst), for a proxy that is not
// there.
func (c *recipeRun) documentedTPROXY() {
	c.t.Helper()
	c.eachFamily(nil,
		"@iptables -t mangle -N DIVERT",
		"@iptables -t mangle -A PREROUTING -p tcp -m socket -j DIVERT",
		"@iptables -t mangle -A DIVERT -j MARK --set-mark 1",
		"@iptables -t mangle -A DIVERT -j ACCEPT",
		"@ip rule add fwmark 1 lookup 100",
		"@ip route add local default dev lo table 100",
		"@iptables -t mangle -A PREROUTING -i lan0 -p tcp --dport 80 -j TPROXY --tproxy-mark 0x1/0x1 --on-port 50080")
}
