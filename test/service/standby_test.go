package service

import (
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"replypath/health"
	"replypath/test/box"
	"replypath/test/world"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// vipBox returns a box whose second uplink has no addresses but VIPs, which the other node of a pair has.
func vipBox(t *testing.T) *box.Box {
	t.Helper()
	b := box.New(t, box.Conditions{RPFilter: 1}.Build(t, 2, world.Options{}))
	var text strings.Builder
	for _, u := range b.Uplinks {
		fmt.Fprintf(&text, "[uplinks.isp%d]\nid = %d\ninterface = %q\ngateway = [%q, %q]\nvips = [%q, %q]\n", u.Index, u.Index+1, u.Link.Name, u.Router4, u.RouterLL, u.Addr4, u.Addr6)
	}
	b.Write(text.String())
	moveVIPs(b, b.Uplinks[1], "del")
	return b
}

// moveVIPs adds or deletes the addresses of an uplink, as keepalived does.
func moveVIPs(b *box.Box, u *world.Uplink, verb string) {
	b.T.Helper()
	lines := []string{
		fmt.Sprintf("ip addr %s %s dev %s", verb, netip.PrefixFrom(u.Addr4, u.Prefix4.Bits()), u.Link.Name),
		fmt.Sprintf("ip addr %s %s dev %s", verb, netip.PrefixFrom(u.Addr6, u.Prefix6.Bits()), u.Link.Name),
	}
	if verb == "add" {
		lines[1] += " nodad"
	}
	b.Shell(lines...)
}

// transitions returns the states that the events of an uplink lead to, by family.
func transitions(s health.Status, uplink string) map[string][]string {
	all := map[string][]string{}
	for _, e := range s.Events {
		if e.Kind == "state" && e.Uplink == uplink {
			all[e.Family] = append(all[e.Family], e.To)
		}
	}
	return all
}

func TestUplinkWhoseVIPsAreElsewhereIsStandby(t *testing.T) {
	t.Parallel()
	b := vipBox(t)
	service := b.Start()
	u := b.Uplinks[1]
	b.AwaitUp(b.Uplinks[0])
	s := b.AwaitState(u, health.Standby)
	if s.Uplinks[1].State != health.Standby || !strings.Contains(s.Uplinks[1].Families[0].Reason, u.Addr4.String()+" is not on this node") {
		t.Errorf("%+v", s.Uplinks[1])
	}
	b.Must(0, "status")
	for path, want := range map[string]int{"/uplinks/isp1": 503, "/uplinks/isp1?standby=ok": 200, "/uplinks/isp1?family=ipv6&standby=ok": 200, "/uplinks/isp0?standby=ok": 200, "/healthz": 200} {
		if code, body := box.GetFrom(t, b.Gateway, endpointURL+path); code != want {
			t.Errorf("%s: %d, want %d: %s", path, code, want, body)
		}
	}
	if _, body := box.GetFrom(t, b.Gateway, endpointURL+"/metrics"); strings.Count(body, `state="standby",uplink="isp1"} 1`) != 2 {
		t.Errorf("metrics:\n%s", body)
	}
	if r := b.Must(0, "verify"); strings.Count(r.Stdout, "standby: nothing to show: ") != 2 {
		t.Errorf("%s", r)
	}
	for range 3 {
		moveVIPs(b, u, "add")
		b.AwaitUp()
		moveVIPs(b, u, "del")
		b.AwaitState(u, health.Standby)
	}
	want := []string{"standby", "up", "standby", "up", "standby", "up", "standby"}
	for family, got := range transitions(b.ServiceStatus(), "isp1") {
		if !slices.Equal(got, want) {
			t.Errorf("isp1 %s: %q, want %q", family, got, want)
		}
	}
	for _, f := range b.ServiceStatus().Uplinks[1].Families {
		if f.Flaps > 0 || f.HoldDownSeconds > 0 {
			t.Errorf("a take-over is a flap: %+v", f)
		}
	}
	for line := range strings.Lines(service.Log.String()) {
		if strings.Contains(line, "isp1") && strings.Contains(line, "level=WARN") && !strings.Contains(line, "no probe") {
			t.Errorf("a standby node warns: %s", line)
		}
	}
}

// maxFollow is how long a rule may take to follow a VIP on a machine with nothing else to do: once, among as many attempts as fit in
// the time of the test.
const maxFollow = 50 * time.Millisecond

// sendFrom sends datagrams from the VIP to the client until the first leaves by the uplink, and returns how long that took. Each has
// a port of its own, by which its time is known.
func sendFrom(t *testing.T, b *box.Box, u *world.Uplink, from, to netip.Addr, add func()) time.Duration {
	t.Helper()
	wire := u.Wire.Record(func(p world.Packet) bool { return p.From(from) && p.Proto == unix.IPPROTO_UDP })
	began := time.Now()
	add()
	const first = 20000
	for n := uint16(0); time.Since(began) < box.EventualTimeout; n++ {
		b.Gateway.Do(func() {
			socket, err := net.DialUDP("udp", net.UDPAddrFromAddrPort(netip.AddrPortFrom(from, 0)), net.UDPAddrFromAddrPort(netip.AddrPortFrom(to, first+n)))
			if err != nil {
				t.Fatal(err)
			}
			_, _ = socket.Write([]byte("hello")) // refused while the rule leads nowhere
			socket.Close()
		})
		took := time.Since(began)
		if wire.Count(func(world.Packet) bool { return true }) > 0 {
			return took
		}
		time.Sleep(time.Millisecond)
	}
	t.Fatal("no packet from the VIP leaves by its uplink")
	return 0
}

func TestPacketsFromAVIPFollowItAtOnce(t *testing.T) {
	t.Parallel()
	b := vipBox(t)
	b.Start()
	u := b.Uplinks[1]
	b.AwaitUp(b.Uplinks[0])
	b.AwaitState(u, health.Standby)
	link, handle := netlinkOf(t, b, u.Link.Name)
	for _, c := range []struct {
		family, bits int
		from, to     netip.Addr
	}{{4, u.Prefix4.Bits(), u.Addr4, b.Client4}, {6, u.Prefix6.Bits(), u.Addr6, b.Client6}} {
		a := &netlink.Addr{IPNet: &net.IPNet{IP: c.from.AsSlice(), Mask: net.CIDRMask(c.bits, c.from.BitLen())}, Flags: unix.IFA_F_NODAD}
		var took box.Durations
		for began := time.Now(); len(took) < 3 || took.Percentile(1) > maxFollow && time.Since(began) < box.EventualTimeout; {
			took = append(took, sendFrom(t, b, u, c.from, c.to, func() {
				if err := handle.AddrAdd(link, a); err != nil {
					t.Fatal(err)
				}
			}))
			if err := handle.AddrDel(link, a); err != nil {
				t.Fatal(err)
			}
			b.AwaitRuleText(t, c.family, fmt.Sprintf("from %s lookup 8202", c.from), false)
		}
		t.Logf("IPv%d: packets from a VIP leave by its uplink after %s", c.family, took)
		if best := took.Percentile(1); best > maxFollow {
			t.Errorf("IPv%d: the quickest of %d took %v, more than %v", c.family, len(took), best, maxFollow)
		}
	}
}

// netlinkOf returns a link of the gateway, and a handle in its namespace.
func netlinkOf(t *testing.T, b *box.Box, name string) (link netlink.Link, handle *netlink.Handle) {
	t.Helper()
	var err error
	b.Gateway.Do(func() {
		if handle, err = netlink.NewHandle(unix.NETLINK_ROUTE); err == nil {
			link, err = handle.LinkByName(name)
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(handle.Close)
	return link, handle
}
