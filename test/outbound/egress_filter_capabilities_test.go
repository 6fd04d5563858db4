package outbound

import (
	"strings"
	"testing"

	"replypath/test/box"
	"replypath/test/world"
)

// with runs the program with no capabilities but these (setpriv(1)).
func (g *gateway) with(capabilities, command string) box.Result {
	arguments := append([]string{"--bounding-set", capabilities, "--", box.Binary}, g.Command(g.T.Context(), command).Args[1:]...)
	return g.RunCommand(g.Gateway.Command(g.T.Context(), "setpriv", arguments...))
}

// Where the kernel refuses the filters, one warning says so, and sources are translated all the same. The capabilities of the service
// are enough for them.
func TestFiltersNeedTheCapabilitiesOfTheService(t *testing.T) {
	t.Parallel()
	box.EachFirewall(t, func(t *testing.T, backend string) {
		g := newGateway(t, backend, balanced(`[["isp0"], ["isp1"]]`)...)
		for _, c := range []struct {
			capabilities, command string
			status, warnings      int
			filters               int
		}{
			{"-bpf,-sys_admin", "plan", 3, 1, 0},
			{"-bpf,-sys_admin", "apply", 0, 1, 0},
			{"-all,+net_admin,+net_raw,+bpf", "plan", 3, 0, 0},
			{"-all,+net_admin,+net_raw,+bpf", "apply", 0, 0, 2},
			{"-all,+net_admin,+net_raw,+bpf", "plan", 0, 0, 2},
		} {
			r := g.with(c.capabilities, c.command)
			n := strings.Count(r.Stdout+r.Stderr, "packets from inside that no rule translates can leave by the uplinks")
			if filters := len(g.Gateway.Pins("egress", "link_")); r.Status != c.status || n != c.warnings || filters != c.filters {
				t.Errorf("%+v: status %d, %d warnings, %d filters:\n%s%s", c, r.Status, n, filters, r.Stdout, r.Stderr)
			}
			if c.command != "apply" {
				continue
			}
			for _, to := range g.servers() {
				if share := g.send(t, g.LAN, world.KindUDP, to, 3); share[0] != 3 {
					t.Errorf("to %s: %v by each uplink", to, share)
				}
			}
		}
		g.wantNoForeign(t)
	})
}
