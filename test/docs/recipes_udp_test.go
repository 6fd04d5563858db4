package docs

import (
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"replypath/test/box"
	"replypath/test/world"
)

// enterGroup is a script that runs a program in the control group of the first argument.
const enterGroup = `echo $$ >"$0/cgroup.procs" && exec "$@"`

// wildcardServers starts a DNS server and an OpenVPN server as they are often configured: on any address, in both families. Those
// alone are in a control group of the test, which takes the place of the root in the configuration.
func (c *recipeRun) wildcardServers() {
	c.t.Helper()
	box.ServeAll(c.Gateway)
	c.group = world.MakeCgroup(c.t)
	file := filepath.Join(c.Dir, "unbound-on-any-address.conf")
	text := "server:\n    interface: 0.0.0.0\n    interface: ::\n    access-control: 0.0.0.0/0 allow\n    access-control: ::/0 allow\n" +
		"    local-data: 'wildcard.example TXT by-the-gateway'\n    module-config: \"iterator\"\n" + proxyPrograms["unbound"].more
	if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
		c.t.Fatal(err)
	}
	key := filepath.Join(c.Dir, "openvpn.pem")
	box.WriteCertificate(c.t, key)
	for _, command := range [][]string{
		{"unbound", "-d", "-c", file},
		{"openvpn", "--dev", "tun99", "--dev-type", "tun", "--mode", "server", "--tls-server", "--proto", "udp6", "--port", "1194", "--ca", key, "--cert", key,
			"--key", key, "--dh", "none", "--ifconfig", "198.18.200.1", "198.18.200.2"},
	} {
		c.RunProgram(c.t, "sh", append([]string{"-c", enterGroup, c.group}, command...)...)
	}
	box.Eventually(c.t, box.EventualTimeout, "the servers listen", func() bool {
		list := c.Gateway.Run("ss", "-Hlun")
		return strings.Contains(list, "[::]:53 ") && strings.Contains(list, ":1194 ")
	})
	c.checks = append(c.checks, c.wantWildcardServers)
}

// wantWildcardServers wants answers of both servers from each address: the clients take no others.
func (c *recipeRun) wantWildcardServers(t *testing.T) {
	for _, u := range c.Uplinks {
		for _, to := range u.Addrs() {
			if got := c.Client.Run("dig", "-b", c.ClientAddr(to).String(), "@"+to.String(), "+notcp", "+short", "+time=5", "wildcard.example", "TXT"); !strings.Contains(got, "by-the-gateway") {
				t.Errorf("dig @%s: %s", to, got)
			}
			socket := c.Connected(c.Client, netip.AddrPortFrom(c.ClientAddr(to), c.ClientPort()), netip.AddrPortFrom(to, 1194))
			box.Eventually(t, box.EventualTimeout, "OpenVPN answers at "+to.String(), func() bool {
				if err := socket.SetDeadline(time.Now().Add(time.Second)); err != nil {
					t.Fatal(err)
				}
				_, err := socket.Write(box.OpenVPNHello)
				if err == nil {
					_, err = socket.Read(make([]byte, 256))
				}
				return err == nil
			})
		}
	}
}
