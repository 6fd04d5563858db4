package host_test

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"replypath/marks"
	"replypath/uplinks"

	"golang.org/x/sys/unix"
)

// batchSteps returns hundreds of steps, and the errors of those that fail, by index. A nil error stands for any.
func batchSteps() (steps []uplinks.Step, fails map[int]error) {
	rule := func(i int) uplinks.Rule {
		return uplinks.Rule{Family: uplinks.IPv4, Priority: uplinks.Priority(20000 + i), Action: uplinks.Lookup, Table: 8201,
			SuppressLength: uplinks.NoSuppress, SuppressGroup: uplinks.NoSuppress}
	}
	route := func(i int, link string, gateway string) uplinks.SetRoute {
		key := uplinks.RouteKey{Family: uplinks.IPv4, Table: uplinks.Table(9000 + i), Dst: uplinks.IPv4.DefaultPrefix()}
		return uplinks.SetRoute{Key: key, Route: uplinks.Route{Type: uplinks.Unicast, Link: link, Gateway: netip.MustParseAddr(gateway), Protocol: uplinks.Protocol}}
	}
	const n = 300
	fails = map[int]error{}
	for i := range n {
		switch i % 100 {
		case 7: // exists already
			steps, fails[i] = append(steps, uplinks.AddRule{Rule: rule(i - 1)}), unix.EEXIST
		case 31, 32, 63, 64, 99: // an unreachable gateway
			steps, fails[i] = append(steps, route(i, "eth1", "203.0.113.7")), unix.ENETUNREACH
		case 50: // no such link
			steps, fails[i] = append(steps, route(i, "eth9", "192.0.2.1")), nil
		case 51: // a sysctl, between rtnetlink steps
			steps = append(steps, uplinks.SetTunable{Tunable: uplinks.Tunable{Name: uplinks.FwmarkAccept}, Old: "0", Value: "1"})
		case 52: // nothing to delete
			steps = append(steps, uplinks.DelRule{Rule: rule(i)})
		case 53:
			steps = append(steps, route(i, "eth1", "192.0.2.1"))
		case 54:
			steps = append(steps, uplinks.SetTunable{Tunable: uplinks.Tunable{Link: "eth1", Name: uplinks.LinkGroup}, Old: "0", Value: "8200"})
		default:
			steps = append(steps, uplinks.AddRule{Rule: rule(i)})
		}
	}
	return steps, fails
}

// TestBatchedStepsReturnTheirOwnErrors sends hundreds of steps in batches, some of which fail.
func TestBatchedStepsReturnTheirOwnErrors(t *testing.T) {
	r := newKernelWorld(t, marks.NFT)
	if _, _, err := r.Observe(t.Context()); err != nil {
		t.Fatal(err)
	}
	steps, fails := batchSteps()
	for i, err := range r.ApplyAll(t.Context(), steps) {
		want, fail := fails[i]
		name := strings.SplitN(steps[i].String(), "\n", 2)[0]
		switch {
		case fail != (err != nil), want != nil && !errors.Is(err, want):
			t.Errorf("step %d, %s: %v, want %v", i, name, err, want)
		case fail && !strings.HasPrefix(err.Error(), name):
			t.Errorf("step %d, %s: the error names another: %v", i, name, err)
		}
	}
	_, have, err := r.Observe(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for i, s := range steps {
		_, failed := fails[i]
		if add, is := s.(uplinks.AddRule); is && !failed && !have.Rules[add.Rule] {
			t.Errorf("step %d, %s: it is not in the kernel", i, s)
		}
		if set, is := s.(uplinks.SetRoute); is && (have.Routes[set.Key] == set.Route) == failed {
			t.Errorf("step %d, %s: it is in the kernel: %v", i, s, !failed)
		}
	}
	again := slices.DeleteFunc(steps, func(s uplinks.Step) bool { _, is := s.(uplinks.AddRule); return !is })
	for i, err := range r.ApplyAll(t.Context(), again) {
		if !errors.Is(err, unix.EEXIST) {
			t.Errorf("%s, a second time: %v", again[i], err)
		}
	}
	if group := have.Tunables[uplinks.Tunable{Link: "eth1", Name: uplinks.LinkGroup}]; group != "8200" {
		t.Errorf("eth1 is in group %s", group)
	}
}

// TestKernelErrorTextIsReported expects the extended acknowledgement (NLMSGERR_ATTR_MSG) beside the errno.
func TestKernelErrorTextIsReported(t *testing.T) {
	r := newKernelWorld(t, marks.NFT)
	if _, _, err := r.Observe(t.Context()); err != nil {
		t.Fatal(err)
	}
	key := uplinks.RouteKey{Family: uplinks.IPv4, Table: 9000, Dst: uplinks.IPv4.DefaultPrefix()}
	err := r.Apply(t.Context(), uplinks.SetRoute{Key: key, Route: uplinks.Route{Type: uplinks.Unicast, Link: "eth1",
		Gateway: netip.MustParseAddr("203.0.113.7"), Protocol: uplinks.Protocol}})
	if want := fmt.Sprintf("%v: Nexthop has invalid gateway", unix.ENETUNREACH); err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("%v, want %s", err, want)
	}
}
