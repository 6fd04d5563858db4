package host_test

import (
	"errors"
	"strings"
	"testing"

	"replypath/marks"
	"replypath/uplinks"
)

// TestStepForARecreatedLinkFails executes the steps of a plan after another link has taken over the name.
func TestStepForARecreatedLinkFails(t *testing.T) {
	r := newKernelWorld(t, marks.NFT)
	if _, _, err := r.Observe(t.Context()); err != nil {
		t.Fatal(err)
	}
	r.gateway.Run("sh", "-ec", "ip link del eth1; ip link add eth1 type veth peer name peer1; ip link set eth1 up; ip link set peer1 up")
	key := uplinks.RouteKey{Family: uplinks.IPv4, Table: 8202, Dst: uplinks.IPv4.DefaultPrefix()}
	for _, s := range []uplinks.Step{
		uplinks.SetTunable{Tunable: uplinks.Tunable{Link: "eth1", Name: uplinks.LinkGroup}, Old: "0", Value: "8200"},
		uplinks.SetRoute{Key: key, Route: uplinks.Route{Type: uplinks.Unicast, Link: "eth1", Protocol: uplinks.Protocol}},
	} {
		if err := r.Apply(t.Context(), s); err == nil || !strings.Contains(err.Error(), "eth1") {
			t.Errorf("%s: %v", s, err)
		}
	}
	if now := r.gateway.Run("ip", "link", "show", "eth1"); !strings.Contains(now, "group default") {
		t.Errorf("the other link is now\n%s", now)
	}
	if err := r.Apply(t.Context(), uplinks.DelRoute{Key: key, Route: uplinks.Route{Type: uplinks.Unicast, Link: "eth1", Protocol: uplinks.Protocol}}); err != nil {
		t.Errorf("a route that went with its link cannot be deleted: %v", err)
	}
}

// Two links swap their names after the observation: no step of the plan is executed, and the next observation is right.
func TestPlanOfSwappedLinksIsNotExecuted(t *testing.T) {
	r := newKernelWorld(t, marks.NFT)
	if _, _, err := r.host.Observe(t.Context()); err != nil {
		t.Fatal(err)
	}
	plan := uplinks.Plan{uplinks.SetTunable{Tunable: uplinks.Tunable{Link: "eth1", Name: uplinks.LinkGroup}, Old: "0", Value: "8200"}}
	r.gateway.Run("sh", "-ec", "ip link set eth0 name x9; ip link set eth1 name eth0; ip link set x9 name eth1")
	if done, err := uplinks.Execute(t.Context(), r.host, plan); !errors.Is(err, uplinks.ErrRenamed) || len(done) > 0 {
		t.Errorf("%v, %v", done, err)
	}
	if _, _, err := r.host.Observe(t.Context()); err != nil {
		t.Fatal(err)
	}
	if done, err := uplinks.Execute(t.Context(), r.host, plan); err != nil || len(done) != 1 {
		t.Errorf("after another observation: %v, %v", done, err)
	}
}
