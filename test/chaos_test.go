package test

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"os"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"replypath/test/world"
)

// chaosVariable says how long the trouble lasts.
const chaosVariable = "REPLYPATH_CHAOS"

const (
	chaosTime  = 40 * time.Second
	chaosBound = 20 * time.Second // until all is right again, on any machine
)

// chaos is trouble by chance on a gateway with the service.
type chaos struct {
	*box
	t       *testing.T
	chance  *rand.Rand
	service *service
	uplinks []*world.Uplink // those of the file, all of which are there
	wires   map[*world.Link]*world.Recorder
}

// trouble is what can happen. It may leave the host in any state that is right for the operator.
type trouble struct {
	name string
	make func(c *chaos)
}

// contested commands go on when one fails: ip(8) lists and then deletes, and gives up over what the service has changed
// in between. What a flush that gave up has left is there to be added again.
func contested(commands string) string { return strings.ReplaceAll(commands, ";", " || :;") + " || :" }

var troubles = []trouble{
	{"a link goes down and up", func(c *chaos) { c.bounce() }},
	{"a link loses its carrier", func(c *chaos) {
		u := c.one()
		u.Wire.Down()
		c.pause()
		u.Wire.Up()
		for _, a := range []string{"fe80::1", u.Router6.String()} { // went with the carrier
			u.ISP.Run("ip", "-6", "addr", "replace", a+"/64", "dev", u.Wire.Name, "nodad")
		}
	}},
	{"a link is renamed and back", func(c *chaos) {
		u := c.one()
		c.do("ip link set "+u.Link.Name+" name x9", "ip link set x9 name "+u.Link.Name)
		c.defaults(u)
	}},
	{"a link is renamed for a while", func(c *chaos) {
		u := c.one()
		c.do("ip link set " + u.Link.Name + " name x9")
		c.pause()
		c.do("ip link set x9 name " + u.Link.Name)
		c.defaults(u)
	}},
	{"a link is made anew", func(c *chaos) { c.recreate(c.one()) }},
	{"an address more", func(c *chaos) {
		u, a := c.one(), c.host()
		c.do("ip addr add " + a + "/24 dev " + u.Link.Name)
		c.pause()
		c.do("ip addr del " + a + "/24 dev " + u.Link.Name)
	}},
	{"the addresses go and come", func(c *chaos) {
		u := c.one()
		c.do("ip addr flush dev " + u.Link.Name + " scope global")
		c.pause()
		c.address(u)
	}},
	{"another gateway for a while", func(c *chaos) {
		u := c.one()
		c.do(fmt.Sprintf("ip route replace default via %s dev %s table %d onlink", c.host(), u.Link.Name, 8201+u.Index))
	}},
	{"a gateway is unknown for a while", func(c *chaos) {
		c.do("ip route flush table 101", "ip -6 route flush table 101")
		c.pause()
		c.defaults(c.uplinks[2])
	}},
	{"ip rule flush", func(c *chaos) {
		c.do(contested("ip rule flush; " + restore4))
	}},
	{"ip -6 rule flush", func(c *chaos) { c.do(contested("ip -6 rule flush; " + restore6)) }},
	{"our routes flushed", func(c *chaos) { c.do(contested("ip route flush proto 82; ip -6 route flush proto 82")) }},
	{"mangle flushed", func(c *chaos) { c.do(c.tool(4)+" -w -t mangle -F", c.tool(6)+" -w -t mangle -F"); c.theirs() }},
	{"mangle emptied", func(c *chaos) {
		for _, family := range []int{4, 6} {
			c.do(c.tool(family)+" -w -t mangle -F", c.tool(family)+" -w -t mangle -X 2>/dev/null || :") // unless ours are back
		}
		c.theirs()
	}},
	{"a jump and a chain deleted", func(c *chaos) {
		tool := c.tool(4+2*c.chance.IntN(2)) + " -w -t mangle "
		// Any of it may be gone already, or be there again.
		c.do("(" + tool + "-D OUTPUT -j REPLYPATH-OUT;" + tool + "-F REPLYPATH-OUT;" + tool + "-X REPLYPATH-OUT) 2>/dev/null || :")
	}},
	{"a restore by others", func(c *chaos) {
		c.do("printf '*mangle\\n:THEIRS - [0:0]\\n-A THEIRS -i lan0 -j MARK --set-xmark 0x80000/0x80000\\n-A PREROUTING -j THEIRS\\nCOMMIT\\n' | " + c.tool(4) + "-restore -w")
		c.theirs()
	}},
	{"sysctls", func(c *chaos) {
		c.do("sysctl -qw net.ipv4.fwmark_reflect=0", "sysctl -qw net.ipv4.conf."+c.one().Link.Name+".src_valid_mark=0")
	}},
	{"groups", func(c *chaos) { c.do("ip link set " + c.one().Link.Name + " group 3") }},
	{"a hangup", func(c *chaos) { c.service.signal(syscall.SIGHUP) }},
	{"a hangup with a bad file", func(c *chaos) {
		for len(c.service.states) > 0 {
			<-c.service.states
		}
		c.write("nonsense = 1\n")
		c.service.signal(syscall.SIGHUP)
		c.service.await("refused")
		c.configure(c.uplinks...)
		c.service.signal(syscall.SIGHUP)
	}},
	{"an uplink is taken from the file and given back", func(c *chaos) {
		i := c.chance.IntN(len(c.uplinks))
		c.configure(append(append([]*world.Uplink{}, c.uplinks[:i]...), c.uplinks[i+1:]...)...)
		c.must(0, "reload")
		c.configure(c.uplinks...)
		c.must(0, "reload")
	}},
	{"a crash", func(c *chaos) { c.service.kill(); c.service = c.start() }},
	{"a crash in the middle of repairs", func(c *chaos) {
		c.do(contested("ip rule flush; " + restore4))
		c.pause()
		c.service.kill()
		c.service = c.start()
	}},
	{"a stop and a start", func(c *chaos) { c.service.stop(); c.service = c.start() }},
}

// onlyNFT can happen to one backend.
var onlyNFT = trouble{"nft flush ruleset", func(c *chaos) { c.do("nft flush ruleset"); c.theirs() }}

func (c *chaos) one() *world.Uplink { return c.uplinks[c.chance.IntN(len(c.uplinks))] }

func (c *chaos) host() string { return fmt.Sprintf("198.51.100.%d", 100+c.chance.IntN(100)) }

// pause lets the service get anywhere.
func (c *chaos) pause() { time.Sleep(time.Duration(c.chance.IntN(60)) * time.Millisecond) }

func (c *chaos) bounce() {
	u := c.one()
	c.do("ip link set " + u.Link.Name + " down")
	c.pause()
	c.do("ip link set " + u.Link.Name + " up")
	c.address(u)
}

// address gives an uplink what it had: the kernel takes IPv6 addresses and routes away with the link.
func (c *chaos) address(u *world.Uplink) {
	link := u.Link.Name
	c.do("ip addr replace "+u.Addr4.String()+"/24 dev "+link, "ip -6 addr replace "+u.Addr6.String()+"/64 dev "+link+" nodad", "ip -6 addr replace fe80::2/64 dev "+link+" nodad")
	c.defaults(u)
}

// defaults are main's, by the first uplink, and those of a table of somebody's, from which the last uplink's gateway is
// learnt.
func (c *chaos) defaults(u *world.Uplink) {
	table := map[int]string{0: "main", 2: "101"}[u.Index]
	if table != "" {
		dev := " dev " + u.Link.Name + " table " + table
		c.do("ip route replace default via "+u.Router4.String()+dev, "ip -6 route replace default via fe80::1"+dev)
	}
}

// recreate makes the gateway's end of the wire anew, with another number.
func (c *chaos) recreate(u *world.Uplink) {
	u.Link.Delete()
	c.pause()
	c.Rewire(u)
	c.defaults(u)
}

// theirs puts back what others keep in mangle, when a flush took it too.
func (c *chaos) theirs() {
	for _, family := range []int{4, 6} {
		tool := c.tool(family) + " -w -t mangle "
		c.do(tool+"-N THEIRS 2>/dev/null || "+tool+"-F THEIRS",
			tool+"-A THEIRS -i lan0 -j MARK --set-xmark 0x80000/0x80000",
			tool+"-C PREROUTING -j THEIRS 2>/dev/null || "+tool+"-A PREROUTING -j THEIRS")
	}
}

// foreign is what of others must be there after every round.
func (c *chaos) foreign() string {
	var all strings.Builder
	for _, family := range []int{4, 6} {
		for line := range strings.Lines(c.iptables(family, "-t", "mangle", "-S")) {
			if strings.Contains(line, "THEIRS") {
				all.WriteString(line)
			}
		}
		all.WriteString(c.Gateway.Run("ip", fmt.Sprintf("-%d", family), "route", "show", "table", "100"))
	}
	for line := range strings.Lines(c.Gateway.Run("ip", "rule")) {
		if strings.Contains(line, "2100:") || strings.Contains(line, "32766:") {
			all.WriteString(line)
		}
	}
	return all.String()
}

func TestChaosEndsInOrder(t *testing.T) {
	lasts := chaosTime
	if text, ok := os.LookupEnv(chaosVariable); ok {
		var err error
		if lasts, err = time.ParseDuration(text); err != nil {
			t.Fatalf("%s: %v", chaosVariable, err)
		}
	}
	chance := dice(t)
	began, rounds := time.Now(), 0
	var took durations
	for i := 0; time.Since(began) < lasts; i++ {
		t.Run(fmt.Sprint(i), func(t *testing.T) {
			c := newChaos(t, chance, backends[i%2])
			// A world lasts for a while, so that what one trouble leaves behind meets the next.
			for range 40 {
				if time.Since(began) > lasts || t.Failed() {
					break
				}
				took = append(took, c.round())
				rounds++
			}
			c.service.stop()
			c.must(0, "flush")
		})
		if t.Failed() {
			break
		}
	}
	t.Logf("%d rounds of trouble; all right again: %s", rounds, took)
}

func newChaos(t *testing.T, chance *rand.Rand, backend string) *chaos {
	t.Helper()
	w := conditions{rpFilter: 1}.build(t, 3, world.Options{})
	c := &chaos{box: newBox(t, w, backend), t: t, chance: chance, uplinks: w.Uplinks, wires: map[*world.Link]*world.Recorder{}}
	serve(c.Gateway)
	c.theirs()
	c.learns = map[int]bool{2: true}
	c.configure(w.Uplinks...)
	c.defaults(w.Uplinks[2])
	c.do("ip route add 203.0.113.128/25 dev lan0 table 100", "ip -6 route add 2001:db8:e::/64 dev lan0 table 100", "ip rule add priority 2100 from 203.0.113.200 lookup 100")
	c.service = c.start()
	return c
}

// round makes one to three troubles, and wants all right after them.
func (c *chaos) round() time.Duration {
	c.t.Helper()
	all := slices.Concat(troubles, linkTroubles)
	if c.tool(4) == "iptables-nft" {
		all = append(all, onlyNFT)
	}
	before, what := c.foreign(), []string{}
	for range 1 + c.chance.IntN(3) {
		x := all[c.chance.IntN(len(all))]
		what = append(what, x.name)
		x.make(c)
	}
	if !strings.Contains(c.Gateway.Run("ip", "rule"), "2100:") { // flushed
		c.do("ip rule add priority 2100 from 203.0.113.200 lookup 100")
	}
	began := time.Now()
	for r := c.run("plan"); r.status != 0; r = c.run("plan") {
		if time.Since(began) > chaosBound {
			c.t.Fatalf("%v: not right after %s: %s", what, chaosBound, r)
		}
	}
	took := time.Since(began)
	if now := c.foreign(); now != before {
		c.t.Errorf("%v: of others there was\n%s\nand is\n%s", what, before, now)
	}
	c.symmetric(what)
	return took
}

// symmetric asks at every address, and wants the answers by the ingress.
func (c *chaos) symmetric(what []string) {
	c.t.Helper()
	for _, u := range c.uplinks {
		if c.wires[u.Wire] == nil { // a wire that was made anew is another
			c.wires[u.Wire] = u.Wire.Record(func(p world.Packet) bool { return p.Dir == world.In && p.Proto == world.TCP })
		}
		c.wires[u.Wire].Reset()
	}
	var asked []netip.Addr
	for _, u := range c.uplinks {
		for _, to := range u.Addrs() {
			if a := c.Client.TCP(netip.AddrPortFrom(to, servedPort)); !a.OK {
				c.t.Errorf("%v: %s: %v", what, to, a)
			}
			asked = append(asked, to)
		}
	}
	c.Settle()
	for i, u := range c.uplinks {
		for j, to := range asked {
			n := c.wires[u.Wire].Count(answers(to))
			if i == j/2 && n == 0 || i != j/2 && n != 0 {
				c.t.Errorf("%v: %d answers from %s by eth%d", what, n, to, i)
			}
		}
	}
}
