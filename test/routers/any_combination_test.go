package routers

import (
	"fmt"
	"io"
	"net"
	"net/netip"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"replypath/test/box"
	"replypath/test/world"

	"golang.org/x/sys/unix"
)

// combination is a configuration with routers = "any" and another feature, and what must hold in it beside the replies to the router.
type combination struct {
	settings []string // lines before the uplinks
	uplink   string   // further lines of the uplink
	check    func(t *testing.T, o *office, found *router)
}

// combinations are tried one after the other by reloads of one service.
var combinations = []struct {
	name string
	combination
}{
	{"alone", combination{check: wantReports}},
	{"DNAT to a host inside", combination{check: wantTranslatedReplies}},
	{"outbound", combination{check: wantOutbound, settings: []string{"[probes]", `interval = "100ms"`, `timeout = "1s"`, `retry = "100ms"`, "fall = 2", "rise = 2",
		"[outbound]", `default = "both"`, `masquerade = "both"`, "[outbound.policies.both]", `tiers = [["dsl"], ["fibre"]]`, `sticky = "client"`}}},
	{"intercept", combination{check: wantProxied, settings: []string{"[intercept.web]", `from = ["dsl"]`, "ports = 80", "proxy = 50080"}}},
	{"addresses that move", combination{check: wantVIPs, uplink: fmt.Sprintf("vips = [%q, %q]", vip4, vip6)}},
	{"accelerate", combination{settings: []string{"accelerate = true"}, check: wantNotAccelerated}},
	{"link renamed", combination{check: wantRenamed}},
	{"switched off and on", combination{check: wantSwitched}},
}

const vip4, vip6 = "192.0.2.50", "2001:db8:b::50"

func TestAnyRouterBesideOtherFeatures(t *testing.T) {
	t.Parallel()
	box.EachFirewall(t, func(t *testing.T, backend string) {
		t.Parallel()
		o := newOffice(t, backend)
		o.Gateway.Run("ip", "link", "property", "add", "dev", "eth1", "altname", "office")
		o.configureAny()
		box.ServeAll(o.Gateway)
		box.ServeAll(o.LAN)
		o.serveTransparent(t, "50080")
		s := o.Start()
		found := o.Routers[1]
		before := o.Settings
		for _, c := range combinations {
			t.Run(c.name, func(t *testing.T) {
				o.T = t
				o.Settings = append(slices.Clone(before), c.settings...)
				o.configureFirst(`routers = "any"` + "\n" + c.uplink)
				o.Must(0, "check")
				o.Must(0, "reload")
				o.awaitFound(t, found)
				o.wantFoundReplies(t, found)
				c.check(t, o, found)
				o.wantFoundReplies(t, found)
				for _, to := range o.to() {
					box.WantReplies(t, o.Routers[0].Client, to, kinds)
				}
			})
		}
		o.T, o.Settings = t, before
		s.Stop()
		o.Must(0, "flush")
		if left := o.Gateway.Run("ip", "neigh", "show", "nud", "permanent", "dev", "eth1") + o.Gateway.Run("ip", "route", "show", "table", "all"); strings.Contains(left, "240.0.82.") {
			t.Errorf("flush has left:\n%s", left)
		}
	})
}

// wantFoundReplies wants a reply to the first packet of each kind by the router.
func (o *office) wantFoundReplies(t *testing.T, r *router) {
	t.Helper()
	for _, to := range o.to() {
		for _, kind := range []world.Kind{world.KindUDP, world.KindPing, world.KindTCP} {
			q := box.NewRequest(kind, to)
			q.NoResend = true
			if a := r.Client.Send(q); !a.OK {
				t.Errorf("%s to %s by the found router: %v", kind, to, a)
			}
		}
	}
}

// wantReports wants all reports to know the router.
func wantReports(t *testing.T, o *office, found *router) {
	snapshot := o.Dir + "/snapshot"
	o.AwaitInSync()
	o.Must(0, "snapshot", snapshot)
	name := "dsl/" + found.MAC
	for i, to := range o.to() {
		held := o.hold(t, found, to)
		o.Explain(t, 0, o.flow(t, to), "of uplink "+name, "it leaves by eth1 (uplink "+name+"), selected by its mark", "right: they leave by the connection's uplink")
		client := []netip.Addr{found.Client4, found.Client6}[i]
		o.Explain(t, 0, []string{client.String(), "--from", to.String(), "--mark", "0x1f00"}, "uplink "+name)
		if d := o.RunDoctor(); !d.Healthy() {
			t.Error(d)
		}
		held.Close()
	}
	if text := o.Must(0, "status").Stdout; !strings.Contains(text, "dsl by eth1: "+found.MAC+" (id 31") {
		t.Errorf("status:\n%s", text)
	}
	o.wantProofOf(t, 2)
	if r := o.Must(0, "plan"); r.Stdout != "" {
		t.Errorf("plan: %s", r)
	}
	if r := o.Must(0, "diff", snapshot); r.Stdout != "" {
		t.Errorf("diff: %s", r)
	}
}

// wantTranslatedReplies wants replies of the host inside.
func wantTranslatedReplies(t *testing.T, o *office, found *router) {
	for i, to := range o.to() {
		inside := []netip.Addr{o.LAN4, o.LAN6}[i]
		rule := []string{"-t", "nat", "-A", "PREROUTING", "-i", "eth1", "-d", to.String(), "-j", "DNAT", "--to", inside.String()}
		o.Iptables(box.FamilyOf(to), rule...)
		box.WantReplies(t, found.Client, to, box.DNATKinds)
		rule[2] = "-D"
		o.Iptables(box.FamilyOf(to), rule...)
	}
}

// wantOutbound wants connections from inside to take the uplink whose link the router is on, and another one when its own gateway
// fails, which concerns no reply to the router.
func wantOutbound(t *testing.T, o *office, found *router) {
	dsl := o.Routers[0]
	dsl.Client.ServeTCP(box.ServedPort)
	o.Client.ServeTCP(box.ServedPort)
	reaches := func(to ...netip.Addr) func() bool {
		return func() bool {
			return !slices.ContainsFunc(to, func(a netip.Addr) bool {
				return !o.LAN.Send(world.Request{Kind: world.KindTCP, To: netip.AddrPortFrom(a, box.ServedPort), Timeout: 500 * time.Millisecond}).OK
			})
		}
	}
	box.Eventually(t, box.EventualTimeout, "connections from inside take the first uplink", reaches(dsl.Client4, dsl.Client6))
	held, err := o.LAN.Connect(box.NewRequest(world.KindTCP, dsl.Client4), 2)
	if err != nil {
		t.Fatal(err)
	}
	o.wantFoundReplies(t, found)
	if n := held.Alive(time.Minute); n != 2 {
		t.Errorf("%d of 2 connections from inside go on", n)
	}
	held.Close()
	o.Switch.Run("ip", "link", "set", "r1", "down")
	box.Eventually(t, box.EventualTimeout, "connections from inside take the other uplink", reaches(o.Client4, o.Client6))
	o.wantFoundReplies(t, found)
	o.Switch.Run("ip", "link", "set", "r1", "up")
	box.Eventually(t, box.EventualTimeout, "connections from inside take the first uplink again", reaches(dsl.Client4, dsl.Client6))
}

// wantProxied wants the answer of a transparent proxy.
func wantProxied(t *testing.T, o *office, found *router) {
	for _, to := range o.to() {
		for range 3 {
			var text []byte
			var err error
			found.Client.Do(func() { text, err = readFrom(netip.AddrPortFrom(to, 80)) })
			if want := "proxied " + netip.AddrPortFrom(to, 80).String(); err != nil || string(text) != want {
				t.Errorf("%q, %v, want %q", text, err, want)
			}
		}
	}
}

// readFrom connects, and reads until the server closes.
func readFrom(at netip.AddrPort) ([]byte, error) {
	c, err := net.DialTimeout("tcp", at.String(), time.Minute)
	if err != nil {
		return nil, err
	}
	defer c.Close()
	return io.ReadAll(c)
}

// serveTransparent starts a proxy that tells its clients where they wanted to go.
func (o *office) serveTransparent(t *testing.T, port string) {
	t.Helper()
	config := net.ListenConfig{Control: func(_, _ string, c syscall.RawConn) (err error) {
		bad := c.Control(func(fd uintptr) {
			if err = unix.SetsockoptInt(int(fd), unix.SOL_IPV6, unix.IPV6_TRANSPARENT, 1); err == nil {
				err = unix.SetsockoptInt(int(fd), unix.SOL_IP, unix.IP_TRANSPARENT, 1)
			}
		})
		if bad != nil {
			return bad
		}
		return err
	}}
	var l net.Listener
	var err error
	o.Gateway.Do(func() { l, err = config.Listen(t.Context(), "tcp", "[::]:"+port) })
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	t.Cleanup(func() { l.Close(); <-ended })
	go func() {
		defer close(ended)
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			local := c.LocalAddr().(*net.TCPAddr).AddrPort()
			io.WriteString(c, "proxied "+netip.AddrPortFrom(local.Addr().Unmap(), local.Port()).String())
			c.Close()
		}
	}()
}

// wantVIPs wants replies from addresses that come, go and come back, and to a connection that the other node has given an id of its
// own.
func wantVIPs(t *testing.T, o *office, found *router) {
	for range 2 {
		o.Link.Addr(vip4+"/24", vip6+"/64")
		for _, vip := range []string{vip4, vip6} {
			to := netip.MustParseAddr(vip)
			box.WantReplies(t, found.Client, to, kinds)
			held := o.hold(t, found, to)
			o.setConnectionMark(t, to, "0x700/0x1f00")
			if n := held.Alive(time.Minute); n != 1 {
				t.Errorf("the connection to %s does not go on", vip)
			}
			held.Close()
		}
		o.Gateway.Run("ip", "addr", "del", vip4+"/24", "dev", "eth1")
		o.Gateway.Run("ip", "addr", "del", vip6+"/64", "dev", "eth1")
	}
}

// wantNotAccelerated wants the link to be left out of the flow table.
func wantNotAccelerated(t *testing.T, o *office, _ *router) {
	if text := o.Must(0, "status", "--json").Stdout; !strings.Contains(text, "replies leave by any router on it") {
		t.Errorf("status:\n%s", text)
	}
}

// wantRenamed wants replies to the router while the link has another name.
func wantRenamed(t *testing.T, o *office, found *router) {
	o.Write(strings.ReplaceAll(o.config(t), `"eth1"`, `"office"`))
	o.Must(0, "reload")
	for _, name := range []string{"wan7", "eth1"} {
		o.Gateway.Run("ip", "link", "set", "dev", map[string]string{"wan7": "eth1", "eth1": "wan7"}[name], "name", name)
		box.Eventually(t, box.EventualTimeout, "the rules have the new name", func() bool {
			return o.ServiceStatus().Uplinks[1].Interface == name && strings.Contains(o.rules(4), name) && strings.Contains(o.rules(6), name)
		})
		o.AwaitInSync()
		o.wantFoundReplies(t, found)
		if neighbours := o.Gateway.Run("ip", "neigh", "show", "nud", "permanent"); strings.Count(neighbours, found.MAC) != 2 {
			t.Errorf("neighbour entries:\n%s", neighbours)
		}
	}
}

// wantSwitched wants nothing of the router while routers are not found, and an open connection of it to live.
func wantSwitched(t *testing.T, o *office, found *router) {
	held := o.hold(t, found, o.Addr4)
	defer held.Close()
	o.configureFirst("")
	o.Must(0, "reload")
	if left := o.Gateway.Run("ip", "neigh", "show", "nud", "permanent") + o.Gateway.Run("ip", "route", "show", "table", "all") + o.rules(4) + o.rules(6); strings.Contains(left, "240.0.82.") || strings.Contains(strings.ToLower(left), found.MAC) {
		t.Errorf("switched off, there is:\n%s", left)
	}
	if n := len(o.ServiceStatus().Uplinks[1].FoundRouters); n > 0 {
		t.Errorf("switched off, status has %d routers", n)
	}
	box.Eventually(t, box.EventualTimeout, "the connection has the mark of the uplink", func() bool {
		return strings.Contains(o.Gateway.Run("conntrack", "-L", "-p", "tcp", "--mark", "0x200/0x1f00"), found.Client4.String())
	})
	o.configureAny()
	o.Must(0, "reload")
	o.awaitFound(t, found)
	if n := held.Alive(time.Minute); n != 1 {
		t.Error("the connection does not go on")
	}
}
