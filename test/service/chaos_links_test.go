package service

import (
	"fmt"
	"syscall"

	"replypath/test/box"
)

// linkDisturbances change what a look at one link, or at one table, may not see.
var linkDisturbances = []disturbance{
	{"two uplinks swap their names and swap them back", func(c *chaos) {
		a, b := c.uplinks[0].Link.Name, c.uplinks[1].Link.Name
		swap := fmt.Sprintf("ip link set %[1]s name x9; ip link set %[2]s name %[1]s; ip link set x9 name %[2]s", a, b)
		c.Shell(swap)
		c.pause()
		c.Shell(swap)
		c.restoreDefaults(c.uplinks[0])
	}},
	{"a link goes to another namespace, and is made anew", func(c *chaos) {
		u := c.randomUplink()
		c.Shell(fmt.Sprintf(`unshare -n sleep 600 & p=$!
			until [ "$(readlink /proc/$p/ns/net)" != "$(readlink /proc/self/ns/net)" ]; do :; done
			ip link set %[1]s netns $p; nsenter -n -t $p ip link del %[1]s; kill $p`, u.Link.Name))
		c.pause()
		c.Rewire(u)
		c.restoreDefaults(u)
	}},
	{"a bridge takes a link for a while", func(c *chaos) {
		u := c.randomUplink()
		c.Shell("ip link add br9 type bridge; ip link set br9 up; ip link set " + u.Link.Name + " master br9")
		c.pause()
		c.Shell("ip link set " + u.Link.Name + " nomaster; ip link del br9")
	}},
	{"an MTU too small for IPv6", func(c *chaos) {
		u := c.randomUplink()
		c.Shell("ip link set " + u.Link.Name + " mtu 1000")
		c.pause()
		c.Shell("ip link set " + u.Link.Name + " mtu 1500")
		c.restoreAddrs(u)
	}},
	{"no IPv6 for a while", func(c *chaos) {
		u := c.randomUplink()
		sysctl := "sysctl -qw net.ipv6.conf." + u.Link.Name + ".disable_ipv6="
		c.Shell(sysctl + "1")
		c.pause()
		c.Shell(sysctl + "0")
		c.restoreAddrs(u)
	}},
	{"main's default route is another link's for a while", func(c *chaos) {
		u := c.uplinks[1]
		c.Shell("ip route replace default via "+u.Router4.String()+" dev "+u.Link.Name, "ip -6 route replace default via fe80::1 dev "+u.Link.Name)
		c.pause()
		c.restoreDefaults(c.uplinks[0])
	}},
	{"the default routes are an object's that goes", func(c *chaos) {
		u, v := c.uplinks[0], c.uplinks[1]
		c.Shell(fmt.Sprintf("ip nexthop add id 7 via %s dev %s; ip route replace default nhid 7", u.Router4, u.Link.Name),
			"ip nexthop add id 8 via fe80::1 dev "+u.Link.Name+"; ip -6 route replace default nhid 8")
		c.pause()
		c.Shell(fmt.Sprintf("ip nexthop replace id 7 via %s dev %s; ip nexthop replace id 8 via fe80::1 dev %[2]s", v.Router4, v.Link.Name))
		c.pause()
		c.Shell("ip nexthop del id 7; ip nexthop del id 8")
		c.restoreDefaults(u)
	}},
	{"a secondary address is promoted", func(c *chaos) {
		u := c.randomUplink()
		second := u.Addr4.Next().String() + "/24 dev " + u.Link.Name
		c.Shell("sysctl -qw net.ipv4.conf."+u.Link.Name+".promote_secondaries=1", "ip addr add "+second, "ip addr del "+u.Addr4.String()+"/24 dev "+u.Link.Name)
		c.pause()
		c.restoreAddrs(u)
		c.Shell("ip addr del " + second)
		c.restoreAddrs(u)
	}},
	{"links of others come and go", func(c *chaos) {
		c.Shell("for i in $(seq 20); do ip link add v$i type veth peer name w$i; ip link set v$i up; ip addr add 198.51.100.$((200+i))/32 dev v$i; done; for i in $(seq 20); do ip link del v$i; done")
	}},
	{"the service is stopped for a while", func(c *chaos) {
		c.service.Signal(syscall.SIGSTOP)
		c.bounce()
		c.Shell(box.IgnoringErrors("ip rule flush; "+box.Restore4), "ip route flush table 8202")
		c.service.Signal(syscall.SIGCONT)
	}},
	{"a hangup in the middle", func(c *chaos) {
		c.service.Signal(syscall.SIGHUP)
		c.bounce()
		c.service.Signal(syscall.SIGHUP)
		c.recreate(c.randomUplink())
	}},
}
