package service

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"replypath/test/box"
	"replypath/test/world"
)

// chaosVariable sets how long the disturbances last.
const chaosVariable = "REPLYPATH_CHAOS"

const chaosTime = 20 * time.Second

// chaos makes random disturbances on a gateway with the service.
type chaos struct {
	*box.Box
	t       *testing.T
	chance  *rand.Rand
	service *box.Service
	uplinks []*world.Uplink // those of the file, all of which are there
	wires   map[*world.Link]*world.Recorder
}

// foreign returns what of others must be there after every round.
func (c *chaos) foreign() string {
	var all strings.Builder
	for _, family := range []int{4, 6} {
		for line := range strings.Lines(c.Iptables(family, "-t", "mangle", "-S")) {
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

// The service is built with the race detector.
func TestServiceRecoversFromRandomDisturbances(t *testing.T) {
	t.Parallel()
	lasts := chaosTime
	if text, ok := os.LookupEnv(chaosVariable); ok {
		var err error
		if lasts, err = time.ParseDuration(text); err != nil {
			t.Fatalf("%s: %v", chaosVariable, err)
		}
	}
	chance, program := box.SeededRand(t), box.RaceBinary(t)
	began, rounds := time.Now(), 0
	var took box.Durations
	for i := 0; time.Since(began) < lasts; i++ {
		t.Run(fmt.Sprint(i), func(t *testing.T) {
			c := newChaos(t, chance, box.Backends[i%2], program)
			// A world lasts for a while, so that disturbances meet what earlier ones left.
			for range 40 {
				if time.Since(began) > lasts || t.Failed() {
					break
				}
				took = append(took, c.disturb())
				rounds++
			}
			c.service.Stop()
			c.Must(0, "flush")
		})
		if t.Failed() {
			break
		}
	}
	t.Logf("%d rounds of trouble; all right again: %s", rounds, took)
}

func newChaos(t *testing.T, chance *rand.Rand, backend, program string) *chaos {
	t.Helper()
	w := box.Conditions{RPFilter: 1}.Build(t, 3, world.Options{})
	c := &chaos{Box: box.New(t, w, backend), t: t, chance: chance, uplinks: w.Uplinks, wires: map[*world.Link]*world.Recorder{}}
	box.ServeAll(c.Gateway)
	c.restoreForeignChains()
	c.AutoGateway = map[int]bool{2: true}
	c.Configure(w.Uplinks...)
	c.restoreDefaults(w.Uplinks[2])
	c.Shell("ip route add 203.0.113.128/25 dev lan0 table 100", "ip -6 route add 2001:db8:e::/64 dev lan0 table 100", "ip rule add priority 2100 from 203.0.113.200 lookup 100")
	c.ServiceProgram = program
	c.service = c.Start()
	return c
}

// disturb makes one to three disturbances, and wants the kernel in sync and all replies symmetric after them.
func (c *chaos) disturb() time.Duration {
	c.t.Helper()
	all := slices.Concat(disturbances, linkDisturbances)
	if c.IptablesName(4) == "iptables-nft" {
		all = append(all, nftDisturbance)
	}
	before, what := c.foreign(), []string{}
	for range 1 + c.chance.IntN(3) {
		x := all[c.chance.IntN(len(all))]
		what = append(what, x.name)
		x.make(c)
	}
	if !strings.Contains(c.Gateway.Run("ip", "rule"), "2100:") { // flushed
		c.Shell("ip rule add priority 2100 from 203.0.113.200 lookup 100")
	}
	defer func() {
		if c.t.Failed() {
			c.t.Logf("after %v", what)
		}
	}()
	took := c.AwaitInSync()
	if now := c.foreign(); now != before {
		c.t.Errorf("%v: of others there was\n%s\nand is\n%s", what, before, now)
	}
	c.wantSymmetric(what)
	return took
}

// wantSymmetric sends a request to every address, and wants the replies by their ingress.
func (c *chaos) wantSymmetric(what []string) {
	c.t.Helper()
	for _, u := range c.uplinks {
		if c.wires[u.Wire] == nil { // a wire that was made anew is another
			c.wires[u.Wire] = u.Wire.Record(func(p world.Packet) bool { return p.Dir == world.In && p.Proto == world.TCP })
		}
		c.wires[u.Wire].Reset()
	}
	phase := c.NewPhase()
	var addrs []netip.Addr
	for _, u := range c.uplinks {
		for _, to := range u.Addrs() {
			if a := c.Client.TCP(netip.AddrPortFrom(to, box.ServedPort)); !a.OK {
				c.t.Errorf("%v: %s: %v", what, to, a)
			}
			addrs = append(addrs, to)
		}
	}
	c.Settle()
	for i, u := range c.uplinks {
		for j, to := range addrs {
			reply := box.RepliesFrom(to)
			n := c.wires[u.Wire].Count(func(p world.Packet) bool { return reply(p) && !phase.Earlier(p) })
			if i == j/2 && n == 0 || i != j/2 && n != 0 {
				c.t.Errorf("%v: %d answers from %s by eth%d", what, n, to, i)
			}
		}
	}
}
