package routers

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"replypath/test/box"
	"replypath/test/world"
)

// On a link with several uplinks, the next hop says by which a reply leaves.
func TestExplainTellsRoutersApart(t *testing.T) {
	t.Parallel()
	box.EachFirewall(t, func(t *testing.T, backend string) {
		o := newOffice(t, backend)
		box.ServeAll(o.Gateway)
		o.Apply()
		o.Explain(t, 0, []string{"--listen", ":7000/tcp"}, "dsl", "cable")
		for _, r := range o.Routers {
			for _, to := range o.to() {
				o.explainFlow(t, 0, r, to, "it leaves by eth1 (uplink "+r.Name+"), selected by its mark", "right: they leave by the connection's uplink")
			}
		}
		cable := o.Routers[1]
		for i, to := range o.to() {
			client := []netip.Addr{cable.Client4, cable.Client6}[i]
			stray := []string{fmt.Sprintf("-%d", box.FamilyOf(to)), "rule", "add", "priority", "1", "to", client.String(), "lookup", "8202"}
			held := o.hold(t, cable, to)
			flow := o.flow(t, to)
			o.Gateway.Run("ip", stray...)
			o.Explain(t, 3, flow, "it leaves by eth1 (uplink dsl)", "they STRAY: they leave by dsl instead of cable")
			stray[2] = "del"
			o.Gateway.Run("ip", stray...)
			held.Close()
		}
	})
}

// hold opens a connection by the router that carries nothing: an error that another router sends about its replies would make that
// router's uplink the latest ingress.
func (o *office) hold(t *testing.T, r *router, to netip.Addr) *world.Connections {
	t.Helper()
	box.Eventually(t, box.EventualTimeout, "the connection before has ended", func() bool { return o.established(to) == "" })
	held, err := r.Client.Connect(box.NewRequest(world.KindTCP, to), 1)
	if err != nil {
		t.Fatal(err)
	}
	return held
}

// explainFlow explains a connection by the router, and wants these words.
func (o *office) explainFlow(t *testing.T, status int, r *router, to netip.Addr, words ...string) {
	t.Helper()
	held := o.hold(t, r, to)
	defer held.Close()
	o.Explain(t, status, o.flow(t, to), append(words, "of uplink "+r.Name)...)
}

// flow returns the arguments of explain for the connection to the address that is established.
func (o *office) flow(t *testing.T, to netip.Addr) []string {
	t.Helper()
	line := o.established(to)
	if strings.Contains(line, "\n") || line == "" {
		t.Fatalf("want one connection: %q", line)
	}
	return []string{"--flow", line}
}

// established returns the lines of ss(8) about the established connections to the address's family.
func (o *office) established(to netip.Addr) string {
	return strings.TrimSpace(o.Gateway.Run("ss", fmt.Sprintf("-%d", box.FamilyOf(to)), "-Htn", "state", "established", "sport", "=", fmt.Sprintf(":%d", box.ServedPort)))
}
