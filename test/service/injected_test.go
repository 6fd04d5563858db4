package service

import (
	"encoding/json"
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"replypath/health"
	"replypath/test/box"
	"replypath/test/world"
	"replypath/uplinks"
)

// inject adds a connection to the conntrack table of the gateway, as conntrackd does.
func inject(b *box.Box, from, to netip.AddrPort, mark uint32) {
	b.Gateway.Run("conntrack", "-I", "-p", "udp", "-s", from.Addr().String(), "-d", to.Addr().String(), "--sport", fmt.Sprint(from.Port()),
		"--dport", fmt.Sprint(to.Port()), "-u", "SEEN_REPLY,ASSURED", "-t", "180", "-m", fmt.Sprintf("%#x", mark))
}

// The server has the connection that conntrackd has copied, and speaks first on the new node: no request came in by any uplink.
func TestConnectionsInjectedBeforeTheServiceRunsAreRight(t *testing.T) {
	t.Parallel()
	box.EachBackend(t, func(t *testing.T, backend string) {
		b := box.New(t, box.Conditions{RPFilter: 1}.Build(t, 2, world.Options{}), backend)
		port := func(u *world.Uplink) uint16 { return uint16(5000 + u.Index) }
		for _, u := range b.Uplinks {
			for _, to := range u.Addrs() {
				inject(b, netip.AddrPortFrom(b.ClientAddr(to), port(u)), netip.AddrPortFrom(to, port(u)), 0x100<<u.Index)
			}
		}
		b.Start()
		egress := b.RecordEgress()
		for _, u := range b.Uplinks {
			for _, to := range u.Addrs() {
				egress.Begin()
				b.Connected(b.Client, netip.AddrPortFrom(b.ClientAddr(to), port(u)), netip.AddrPortFrom(to, port(u)))
				server := b.Connected(b.Gateway, netip.AddrPortFrom(to, port(u)), netip.AddrPortFrom(b.ClientAddr(to), port(u)))
				for range 3 {
					if _, err := server.Write([]byte("push")); err != nil {
						t.Fatal(err)
					}
				}
				b.Settle()
				egress.WantSymmetric(t, u, to, 3)
				server.Close()
			}
		}
	})
}

func TestConnectionsWithTheMarkOfAnotherUplinkAreNamed(t *testing.T) {
	t.Parallel()
	b := vipBox(t)
	service := b.Start()
	isp0, isp1 := b.Uplinks[0], b.Uplinks[1]
	client := netip.AddrPortFrom(b.Client4, 5000)
	inject(b, client, netip.AddrPortFrom(isp0.Addr4, 80), 0x100)
	inject(b, client, netip.AddrPortFrom(isp1.Addr4, 80), 0x80000200)
	if d := b.RunDoctor(); len(d.Of("mark-of-other-uplink")) > 0 {
		t.Errorf("right marks: %s", d)
	}
	// The VIP of isp1 is on the other node, and so is what gave it this mark.
	inject(b, client, netip.AddrPortFrom(isp1.Addr4, 81), 0x100)
	inject(b, netip.AddrPortFrom(b.Client6, 5000), netip.AddrPortFrom(isp0.Addr6, 81), 0x200)
	four := fmt.Sprintf("1 connection to %s, an address of uplink isp1, with the mark of uplink isp0", isp1.Addr4)
	six := fmt.Sprintf("1 connection to %s, an address of uplink isp0, with the mark of uplink isp1", isp0.Addr6)
	b.WantFinding(b.RunDoctor(), box.IsWarning, "mark-of-other-uplink", four, six, "check --peer")
	box.Eventually(t, box.EventualTimeout, "status has both", func() bool { return len(b.ServiceStatus().Mismarked) == 2 })
	for name, text := range map[string]string{"status": b.Must(0, "status").Stdout, "verify": b.Must(0, "verify").Stdout, "the log": service.Log.String()} {
		flat := strings.Join(strings.Fields(text), " ")
		for _, want := range []string{four, six, uplinks.MismarkedRemedy} {
			if !strings.Contains(flat, want) {
				t.Errorf("%s lacks %q:\n%s", name, want, text)
			}
		}
	}
	if _, body := box.GetFrom(t, b.Gateway, endpointURL+"/metrics"); !strings.Contains(body, `replypath_mismarked_connections{marked="isp0",uplink="isp1"} 1`) {
		t.Errorf("metrics:\n%s", body)
	}
	var v struct {
		Mismarked []uplinks.MismarkedConnections
		Paths     []struct{ Standby string }
	}
	if err := json.Unmarshal([]byte(b.Must(0, "verify", "--json").Stdout), &v); err != nil || len(v.Mismarked) != 2 || v.Paths[2].Standby != isp1.Addr4.String() {
		t.Errorf("%+v, %v", v, err)
	}
	b.Gateway.Run("conntrack", "-F")
	box.Eventually(t, box.EventualTimeout, "status has none", func() bool { return len(b.ServiceStatus().Mismarked) == 0 })
	if s := b.ServiceStatus(); s.Uplinks[0].State != health.Up {
		t.Errorf("%+v", s.Uplinks[0])
	}
}
