package docs

import (
	"slices"
	"strings"
	"testing"

	"replypath/test/box"

	"github.com/google/go-cmp/cmp"
)

// wgQuick adds a tunnel for all traffic as wg-quick(8) does: it leaves the priorities of its rules to the kernel, which
// puts them before all others. The tunnel's link is a bridge: not every kernel has WireGuard.
func (c *recipeRun) wgQuick() {
	c.t.Helper()
	box.ServeAll(c.Gateway)
	c.tunnelLink()
	c.eachFamily(tunnelAddress,
		"@ip route add default dev wg0 table 51820",
		"@ip rule add not fwmark 51820 table 51820",
		"@ip rule add table main suppress_prefixlength 0",
		"@iptables -t raw -I PREROUTING ! -i wg0 -d @0 -m addrtype ! --src-type LOCAL -j DROP",
		"@iptables -t mangle -I POSTROUTING -m mark --mark 51820 -p udp -j CONNMARK --save-mark",
		"@iptables -t mangle -I PREROUTING -p udp -j CONNMARK --restore-mark")
	c.Gateway.SetSysctl("net.ipv4.conf.all.src_valid_mark", "1")
}

var tunnelAddress = [][2]string{{"198.18.51.2", "2001:db8:51::2"}}

func (c *recipeRun) tunnelLink() {
	c.t.Helper()
	c.commands("ip link add wg0 type bridge", "ip addr add 198.18.51.2/24 dev wg0", "ip addr add 2001:db8:51::2/64 dev wg0 nodad", "ip link set wg0 up")
}

// tunnelDown takes away what wgQuick has added, but for the sysctl, which wg-quick leaves.
func (c *recipeRun) tunnelDown() {
	c.t.Helper()
	c.eachFamily(tunnelAddress,
		"@ip rule del table 51820",
		"@ip rule del table main suppress_prefixlength 0 priority 1998",
		"@iptables -t raw -D PREROUTING ! -i wg0 -d @0 -m addrtype ! --src-type LOCAL -j DROP",
		"@iptables -t mangle -D POSTROUTING -m mark --mark 51820 -p udp -j CONNMARK --save-mark",
		"@iptables -t mangle -D PREROUTING -p udp -j CONNMARK --restore-mark")
	c.commands("ip link del wg0")
}

// tunnelUp does what wg-quick does with Table = off: the link, and the commands of PostUp. In the end those of PreDown leave
// nothing behind. A proof reports what strayed before, as the page says, so that one is made here.
func (c *recipeRun) tunnelUp() {
	c.t.Helper()
	if !slices.Contains(c.tunnel, "Table = off") {
		c.t.Error("without Table = off, wg-quick adds its rules before all others")
	}
	rules := c.Gateway.Run("ip", "rule") + c.Gateway.Run("ip", "-6", "rule")
	c.tunnelLink()
	c.hooks("PostUp")
	c.runWords([]string{"replypath", "verify"})
	c.checks = append(c.checks, func(t *testing.T) {
		c.hooks("PreDown")
		if diff := cmp.Diff(rules, c.Gateway.Run("ip", "rule")+c.Gateway.Run("ip", "-6", "rule")); diff != "" {
			t.Errorf("after PreDown the rules are not as before PostUp (-before +now):\n%s", diff)
		}
	})
}

// hooks runs the commands of wg0.conf that have this key.
func (c *recipeRun) hooks(key string) {
	c.t.Helper()
	for _, line := range c.tunnel {
		value, is := strings.CutPrefix(line, key+" = ")
		if !is {
			continue
		}
		for command := range strings.SplitSeq(value, ";") {
			c.commands(strings.ReplaceAll(command, "%i", "wg0"))
		}
	}
}
