package outbound

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"replypath/test/box"
	"replypath/test/world"
)

// disturbances is how many things happen to each gateway; the variable has more happen, for a time.
const (
	disturbances     = 10
	durationVariable = "REPLYPATH_CHAOS"
	// connectionPause keeps a port from being used again while its last connection is tracked.
	connectionPause = 10 * time.Millisecond
)

// disturbedGateway is a gateway to which things happen while connections begin all the time.
type disturbedGateway struct {
	*gateway
	t       *testing.T
	rng     *rand.Rand
	backend string
	service *box.Service
	inbound interface{ WantUndisturbed(t *testing.T) }
	killed  bool
	cut     [2]func(u *world.Uplink, on bool) // what keeps an uplink from working; nil: nothing
	drained [2]bool
	history []string
	traffic sync.RWMutex // held by what the traffic must not see
}

// Whatever happens, new connections of the gateway and of hosts behind it leave by an uplink that works, with a source of its own, and
// what comes in by an uplink that works is not disturbed.
func TestConnectionsSurviveRandomDisturbances(t *testing.T) {
	t.Parallel()
	box.EachFirewall(t, func(t *testing.T, backend string) {
		d := &disturbedGateway{gateway: newGateway(t, backend), t: t, rng: box.SeededRand(t), backend: backend}
		d.Gateway.ServeTCP(box.ServedPort)
		d.probeServer()
		d.reload(true)
		d.service = d.startProbed()
		inbound := d.StartConnections(t, 4, d.Uplinks[1])
		inbound.Others = d.isAbandoned
		d.inbound = inbound
		stop := make(chan struct{})
		var all sync.WaitGroup
		end := sync.OnceFunc(func() { close(stop); all.Wait() })
		t.Cleanup(end)
		for _, from := range []*world.Host{d.LAN, d.Gateway} {
			all.Go(func() { d.beginConnections(from, stop) })
		}
		lasts, _ := time.ParseDuration(os.Getenv(durationVariable))
		began := time.Now()
		for n := 0; !t.Failed() && (n < disturbances || time.Since(began) < lasts); n++ {
			d.disturb()
			d.check()
		}
		end()
		if d.cut[1] != nil {
			d.cutOrMend(1, true, "", nil)
		}
		inbound.LongestOutage = time.Since(began) // its uplink may have been cut all the time
		inbound.WantAlive(t)
		if t.Failed() {
			t.Logf("what happened:\n%s", strings.Join(d.history, "\n"))
		}
		d.service.Stop()
	})
}

// beginConnections begins connections of a host until stop is closed.
func (d *disturbedGateway) beginConnections(from *world.Host, stop <-chan struct{}) {
	for {
		for _, to := range d.servers() {
			select {
			case <-stop:
				return
			default:
			}
			time.Sleep(connectionPause)
			d.traffic.RLock()
			q := box.NewRequest(world.KindUDP, to)
			q.Timeout = 50 * time.Millisecond
			from.Send(q)
			d.traffic.RUnlock()
		}
	}
}

// happened notes what is done next.
func (d *disturbedGateway) happened(format string, args ...any) {
	d.history = append(d.history, time.Now().Format("15:04:05.000 ")+fmt.Sprintf(format, args...))
}

// disturb does something. One uplink is always left.
func (d *disturbedGateway) disturb() {
	i := d.rng.IntN(2)
	alone := d.cut[1-i] != nil || d.drained[1-i]
	switch d.rng.IntN(11) {
	case 0:
		if !alone {
			d.happened("drain isp%d", i)
			d.Must(0, append([]string{"drain", fmt.Sprint("isp", i)}, []string{"--move"}[:d.rng.IntN(2)]...)...)
			d.drained[i] = true
		}
	case 1:
		d.happened("undrain both")
		for i := range d.drained {
			d.Must(0, "undrain", fmt.Sprint("isp", i))
			d.drained[i] = false
		}
	case 2, 3:
		d.cutOrMend(i, alone, "no carrier", box.SetNoCarrier)
	case 4:
		d.cutOrMend(i, alone, "a black hole", box.SetBlackHole)
	case 5:
		d.reload(false)
	case 6:
		d.happened("killed")
		d.service.Kill()
		d.killed = true
		d.service = d.Start()
	case 7:
		d.happened("main's default routes by isp%d", i)
		u := d.Uplinks[i]
		d.Gateway.Run("ip", "route", "replace", "default", "via", u.Router4.String(), "dev", u.Link.Name, "onlink")
		d.Gateway.Run("ip", "-6", "route", "replace", "default", "via", u.Router6.String(), "dev", u.Link.Name)
	case 8:
		d.happened("connections are forgotten")
		d.Gateway.Run("conntrack", "-F")
	case 9:
		d.flush()
	case 10:
		d.tunnel()
	}
}

// cutOrMend keeps an uplink from working, or brings both back.
func (d *disturbedGateway) cutOrMend(i int, alone bool, how string, cut func(u *world.Uplink, on bool)) {
	if !alone && d.cut[i] == nil {
		d.happened("%s on isp%d", how, i)
		cut(d.Uplinks[i], true)
		d.cut[i] = cut
		return
	}
	d.happened("both uplinks work")
	for i, u := range d.Uplinks {
		if d.cut[i] != nil {
			d.cut[i](u, false)
			d.cut[i] = nil
		}
	}
}

// reload puts another policy in force.
func (d *disturbedGateway) reload(first bool) {
	tiers := []string{`[["isp0"], ["isp1"]]`, `[["isp1"], ["isp0"]]`, `[["isp0:3", "isp1:1"]]`, `[["isp0", "isp1"]]`}[d.rng.IntN(4)]
	keys := []string{`last_resort = "unreachable"`}
	for _, key := range []string{`sticky = "client"`, `failback = "move"`, `failover = "keep"`, `avoid_degraded = true`} {
		if d.rng.IntN(3) == 0 {
			keys = append(keys, key)
		}
	}
	d.happened("tiers = %s, %s", tiers, strings.Join(keys, ", "))
	d.outbound(balanced(tiers, keys...)...)
	if !first {
		d.Must(0, "reload")
	}
}

// flush deletes, as another program does, all rules of the firewall. Nothing begins until the repair: nothing could translate it.
func (d *disturbedGateway) flush() {
	d.traffic.Lock()
	defer d.traffic.Unlock()
	d.Settle()
	d.happened("flushed")
	if d.backend == box.Backends[1] {
		for _, family := range []int{4, 6} {
			d.Iptables(family, "-t", "mangle", "-F")
			d.Iptables(family, "-t", "nat", "-F")
		}
	} else {
		d.Shell("nft flush ruleset")
	}
	d.awaitRepair(d.t)
}

// tunnel adds a VPN that takes everything, and removes it.
func (d *disturbedGateway) tunnel() {
	d.traffic.Lock()
	defer d.traffic.Unlock()
	d.happened("a VPN takes everything")
	d.Gateway.Run("ip", "link", "add", "tun0", "type", "bridge")
	d.Gateway.Run("ip", "link", "set", "tun0", "up")
	for _, family := range []string{"-4", "-6"} {
		d.Gateway.Run("ip", family, "route", "add", "default", "dev", "tun0", "table", "5210")
		d.Gateway.Run("ip", family, "rule", "add", "priority", "5210", "not", "fwmark", "0xca6c", "lookup", "5210")
	}
	for _, to := range d.servers() {
		for _, from := range []*world.Host{d.LAN, d.Gateway} {
			q := box.NewRequest(world.KindUDP, to)
			q.Timeout, q.ExpectTimeout = 100*time.Millisecond, true
			if a := from.Send(q); a.OK {
				d.t.Errorf("%s is answered at %s although a VPN takes everything", from.Name, a.Peer)
			}
		}
	}
	for _, family := range []string{"-4", "-6"} {
		d.Gateway.Run("ip", family, "rule", "del", "priority", "5210")
	}
	d.Gateway.Run("ip", "link", "del", "tun0")
}

// check wants new connections to be answered by an uplink that works and is not drained, and no foreign source.
func (d *disturbedGateway) check() {
	good := func(peer netip.Addr) bool {
		i := d.uplinkOf(peer)
		return i >= 0 && d.cut[i] == nil && !d.drained[i]
	}
	for _, from := range []*world.Host{d.LAN, d.Gateway} {
		for _, to := range d.servers() {
			var last world.Reply
			box.Eventually(d.t, box.EventualTimeout, fmt.Sprintf("connections of %s to %s take an uplink that works; what happened:\n%s", from.Name, to, strings.Join(d.history, "\n")), func() bool {
				for range 3 {
					q := box.NewRequest(world.KindUDP, to)
					q.Timeout = 300 * time.Millisecond
					if last = from.Send(q); !last.OK || !good(last.Peer.Addr()) {
						return false
					}
				}
				return true
			})
		}
	}
	if d.cut[1] == nil {
		d.inbound.WantUndisturbed(d.t)
	}
	d.wantNoForeignBut(d.t, d.isAbandoned)
}

// isAbandoned reports whether a packet is a reply to a proof of a service that was killed meanwhile: nothing drops those that are on
// their way then. A proof's clients have addresses that nobody has.
func (d *disturbedGateway) isAbandoned(p world.Packet) bool {
	return d.killed && !slices.Contains(d.servers(), p.Dst)
}
