package service

import (
	"fmt"
	"syscall"
	"time"

	"replypath/test/box"
	"replypath/test/world"
)

// disturbance is what can happen. It may leave the host in any state that is right for the operator.
type disturbance struct {
	name string
	make func(c *chaos)
}

var disturbances = []disturbance{
	{"a link goes down and up", func(c *chaos) { c.bounce() }},
	{"a link loses its carrier", func(c *chaos) {
		u := c.randomUplink()
		u.Wire.Down()
		c.pause()
		u.Wire.Up()
		for _, a := range []string{"fe80::1", u.Router6.String()} { // went with the carrier
			u.ISP.Run("ip", "-6", "addr", "replace", a+"/64", "dev", u.Wire.Name, "nodad")
		}
	}},
	{"a link is renamed and back", func(c *chaos) {
		u := c.randomUplink()
		c.Shell("ip link set "+u.Link.Name+" name x9", "ip link set x9 name "+u.Link.Name)
		c.restoreDefaults(u)
	}},
	{"a link is renamed for a while", func(c *chaos) {
		u := c.randomUplink()
		c.Shell("ip link set " + u.Link.Name + " name x9")
		c.pause()
		c.Shell("ip link set x9 name " + u.Link.Name)
		c.restoreDefaults(u)
	}},
	{"a link is made anew", func(c *chaos) { c.recreate(c.randomUplink()) }},
	{"an address more", func(c *chaos) {
		u, a := c.randomUplink(), c.randomAddr()
		c.Shell("ip addr add " + a + "/24 dev " + u.Link.Name)
		c.pause()
		c.Shell("ip addr del " + a + "/24 dev " + u.Link.Name)
	}},
	{"the addresses go and come", func(c *chaos) {
		u := c.randomUplink()
		c.Shell("ip addr flush dev " + u.Link.Name + " scope global")
		c.pause()
		c.restoreAddrs(u)
	}},
	{"another gateway for a while", func(c *chaos) {
		u := c.randomUplink()
		c.Shell(fmt.Sprintf("ip route replace default via %s dev %s table %d onlink", c.randomAddr(), u.Link.Name, 8201+u.Index))
	}},
	{"a gateway is unknown for a while", func(c *chaos) {
		c.Shell("ip route flush table 101", "ip -6 route flush table 101")
		c.pause()
		c.restoreDefaults(c.uplinks[2])
	}},
	{"ip rule flush", func(c *chaos) {
		c.Shell(box.IgnoringErrors("ip rule flush; " + box.Restore4))
	}},
	{"ip -6 rule flush", func(c *chaos) { c.Shell(box.IgnoringErrors("ip -6 rule flush; " + box.Restore6)) }},
	{"our routes flushed", func(c *chaos) { c.Shell(box.IgnoringErrors("ip route flush proto 82; ip -6 route flush proto 82")) }},
	{"mangle flushed", func(c *chaos) {
		c.Shell(c.IptablesName(4)+" -w -t mangle -F", c.IptablesName(6)+" -w -t mangle -F")
		c.restoreForeignChains()
	}},
	{"mangle emptied", func(c *chaos) {
		for _, family := range []int{4, 6} {
			c.Shell(c.IptablesName(family)+" -w -t mangle -F", c.IptablesName(family)+" -w -t mangle -X 2>/dev/null || :") // unless ours are back
		}
		c.restoreForeignChains()
	}},
	{"a jump and a chain deleted", func(c *chaos) {
		tool := c.IptablesName(4+2*c.chance.IntN(2)) + " -w -t mangle "
		// Any of it may be gone already, or be there again.
		c.Shell("(" + tool + "-D OUTPUT -j REPLYPATH-OUT;" + tool + "-F REPLYPATH-OUT;" + tool + "-X REPLYPATH-OUT) 2>/dev/null || :")
	}},
	{"a restore by others", func(c *chaos) {
		c.Shell("printf '*mangle\\n:THEIRS - [0:0]\\n-A THEIRS -i lan0 -j MARK --set-xmark 0x80000/0x80000\\n-A PREROUTING -j THEIRS\\nCOMMIT\\n' | " + c.IptablesName(4) + "-restore -w")
		c.restoreForeignChains()
	}},
	{"sysctls", func(c *chaos) {
		c.Shell("sysctl -qw net.ipv4.fwmark_reflect=0", "sysctl -qw net.ipv4.conf."+c.randomUplink().Link.Name+".src_valid_mark=0")
	}},
	{"groups", func(c *chaos) { c.Shell("ip link set " + c.randomUplink().Link.Name + " group 3") }},
	{"a hangup", func(c *chaos) { c.service.Signal(syscall.SIGHUP) }},
	{"a hangup with a bad file", func(c *chaos) {
		for len(c.service.Notifications) > 0 {
			<-c.service.Notifications
		}
		c.Write("nonsense = 1\n")
		c.service.Signal(syscall.SIGHUP)
		c.service.AwaitNotify("refused")
		c.Configure(c.uplinks...)
		c.service.Signal(syscall.SIGHUP)
	}},
	{"an uplink is taken from the file and given back", func(c *chaos) {
		i := c.chance.IntN(len(c.uplinks))
		c.Configure(append(append([]*world.Uplink{}, c.uplinks[:i]...), c.uplinks[i+1:]...)...)
		c.Must(0, "reload")
		c.Configure(c.uplinks...)
		c.Must(0, "reload")
	}},
	{"a crash", func(c *chaos) { c.service.Kill(); c.service = c.Start() }},
	{"a crash in the middle of repairs", func(c *chaos) {
		c.Shell(box.IgnoringErrors("ip rule flush; " + box.Restore4))
		c.pause()
		c.service.Kill()
		c.service = c.Start()
	}},
	{"a stop and a start", func(c *chaos) { c.service.Stop(); c.service = c.Start() }},
}

// nftDisturbance can happen to one backend.
var nftDisturbance = disturbance{"nft flush ruleset", func(c *chaos) { c.Shell("nft flush ruleset"); c.restoreForeignChains() }}

func (c *chaos) randomUplink() *world.Uplink { return c.uplinks[c.chance.IntN(len(c.uplinks))] }

func (c *chaos) randomAddr() string { return fmt.Sprintf("198.51.100.%d", 100+c.chance.IntN(100)) }

// pause lets the service get anywhere.
func (c *chaos) pause() { time.Sleep(time.Duration(c.chance.IntN(60)) * time.Millisecond) }

func (c *chaos) bounce() {
	u := c.randomUplink()
	c.Shell("ip link set " + u.Link.Name + " down")
	c.pause()
	c.Shell("ip link set " + u.Link.Name + " up")
	c.restoreAddrs(u)
}

// restoreAddrs gives an uplink what it had: the kernel takes IPv6 addresses and routes away with the link.
func (c *chaos) restoreAddrs(u *world.Uplink) {
	link := u.Link.Name
	c.Shell("ip addr replace "+u.Addr4.String()+"/24 dev "+link, "ip -6 addr replace "+u.Addr6.String()+"/64 dev "+link+" nodad", "ip -6 addr replace fe80::2/64 dev "+link+" nodad")
	c.restoreDefaults(u)
}

// restoreDefaults adds main's default routes, by the first uplink, and those of a foreign table, from which the last uplink's gateway is
// learnt.
func (c *chaos) restoreDefaults(u *world.Uplink) {
	table := map[int]string{0: "main", 2: "101"}[u.Index]
	if table != "" {
		dev := " dev " + u.Link.Name + " table " + table
		c.Shell("ip route replace default via "+u.Router4.String()+dev, "ip -6 route replace default via fe80::1"+dev)
	}
}

// recreate makes the gateway's end of the wire anew, with another number.
func (c *chaos) recreate(u *world.Uplink) {
	u.Link.Delete()
	c.pause()
	c.Rewire(u)
	c.restoreDefaults(u)
}

// restoreForeignChains puts back what others keep in mangle, when a flush took it too.
func (c *chaos) restoreForeignChains() {
	for _, family := range []int{4, 6} {
		tool := c.IptablesName(family) + " -w -t mangle "
		c.Shell(tool+"-N THEIRS 2>/dev/null || "+tool+"-F THEIRS",
			tool+"-A THEIRS -i lan0 -j MARK --set-xmark 0x80000/0x80000",
			tool+"-C PREROUTING -j THEIRS 2>/dev/null || "+tool+"-A PREROUTING -j THEIRS")
	}
}
