package uplinks_test

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"replypath/marks"
	"replypath/uplinks"
	"replypath/uplinks/uplinkstest"
)

// accelerating returns the settings of the tests with accelerate = true.
func accelerating() uplinks.Settings {
	s := uplinkstest.Settings()
	s.Accelerate = &uplinks.Acceleration{All: true}
	return s
}

// wiredFacts returns the facts of the tests with links that can be in a flow table.
func wiredFacts() uplinks.Facts {
	f := uplinkstest.Facts()
	for name, l := range f.Links {
		l.MAC, l.Kind, l.Isolated = "\x02\x00\x00\x00\x00\x01", "veth", name == "lo"
		f.Links[name] = l
	}
	return f
}

const (
	deleteFlows = "nft 'delete table inet replypath-flow'"
	addFlows    = "nft 'add table inet replypath-flow; delete table inet replypath-flow; add table"
)

// flowLines returns, for each step of a plan, "delete", "set", or "" for one that is not for the flow table.
func flowLines(p uplinks.Plan) (lines []string) {
	for _, s := range p {
		switch text := s.String(); {
		case text == deleteFlows:
			lines = append(lines, "delete")
		case strings.HasPrefix(text, addFlows):
			lines = append(lines, "set")
		default:
			lines = append(lines, "")
		}
	}
	return lines
}

// wantPaused wants the flow table to be deleted before all other steps of the plan and made after them.
func wantPaused(t *testing.T, what string, p uplinks.Plan, first, last string) {
	t.Helper()
	lines := flowLines(p)
	if len(lines) < 2 || lines[0] != first || lines[len(lines)-1] != last || slices.ContainsFunc(lines[1:len(lines)-1], func(l string) bool { return l != "" }) {
		t.Errorf("%s: want %q, others, %q:\n%s", what, first, last, p)
	}
}

func TestFlowTableIsAwayDuringEveryOtherStep(t *testing.T) {
	k := uplinkstest.NewFake(wiredFacts())
	sync := func(s uplinks.Settings) uplinks.Plan {
		t.Helper()
		plan, err := uplinks.Sync(t.Context(), k, s)
		if err != nil {
			t.Fatal(err)
		}
		return plan
	}
	wantPaused(t, "from nothing", sync(accelerating()), "", "set")
	if p := sync(accelerating()); len(p) > 0 {
		t.Errorf("in sync: %s", p)
	}
	gateway := accelerating()
	gateway.Uplinks[1].Gateway4 = uplinks.Gateway{Addr: netip.MustParseAddr("192.0.2.9")}
	wantPaused(t, "another gateway", sync(gateway), "delete", "set")
	id := accelerating()
	id.Uplinks[1].ID = 7
	p := sync(id)
	wantPaused(t, "another id", p, "delete", "set")
	if text := p.String(); !strings.Contains(text, `iifname "eth1" ct direction original ct mark & 0x1f00 != 0x700`) {
		t.Errorf("another id: the flow table has another mark:\n%s", text)
	}
	named := id
	named.Accelerate = &uplinks.Acceleration{Links: []string{"eth1", "lan0"}}
	if p := sync(named); len(p) != 1 || flowLines(p)[0] != "set" || strings.Contains(p.String(), `"eth0"`) {
		t.Errorf("other links alone are one step: %s", p)
	}
	wantPaused(t, "flush", sync(uplinks.Settings{}), "delete", "")
	if strings.Contains(sync(uplinkstest.Settings()).String(), "flow") {
		t.Error("without accelerate there is a flow table")
	}
}

// The flow table is back after a step that fails, and after a change that is reverted.
func TestFlowTableReturnsAfterAFailure(t *testing.T) {
	k := uplinkstest.NewFake(wiredFacts())
	if _, err := uplinks.Sync(t.Context(), k, accelerating()); err != nil {
		t.Fatal(err)
	}
	_, before, err := k.Observe(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	failing := errors.New("failing")
	other := accelerating()
	other.Uplinks[1].ID = 9
	k.Fail = func(s uplinks.Step) error {
		if s.Kind() == uplinks.KindChains && strings.Contains(s.String(), "0x900") {
			return failing
		}
		return nil
	}
	if _, _, err := uplinks.Change(t.Context(), k, other); !errors.Is(err, failing) {
		t.Fatalf("the change: %v", err)
	}
	_, after, err := k.Observe(t.Context())
	if err != nil || fmt.Sprint(before.Flows) != fmt.Sprint(after.Flows) || len(after.Flows) != 1 {
		t.Errorf("%v before, %v after, %v", before.Flows, after.Flows, err)
	}
}

func TestDamagedAndMovedFlowTablesAreReplaced(t *testing.T) {
	want := uplinks.Desired(accelerating(), wiredFacts(), nil)
	for f := range want.Flows {
		for _, state := range []marks.FlowState{{FlowTable: f.FlowTable, Damaged: true}, {FlowTable: f.FlowTable, Moved: true}, {FlowTable: f.FlowTable, MTUChanged: true}} {
			have := uplinks.Desired(accelerating(), wiredFacts(), nil)
			clear(have.Flows)
			have.Flows[state] = true
			if p := uplinks.Diff(want, have); len(p) != 1 || flowLines(p)[0] != "set" || len(p.WithoutPause()) != 1 {
				t.Errorf("%+v: %s", state, p)
			}
		}
	}
}

// A plan of which only some steps are taken has the flow table away during those, and not without any.
func TestPauseSurroundsSomeSteps(t *testing.T) {
	have, other := uplinks.Desired(accelerating(), wiredFacts(), nil), accelerating()
	other.Uplinks[1].Gateway4 = uplinks.Gateway{Addr: netip.MustParseAddr("192.0.2.9")}
	plan := uplinks.Diff(uplinks.Desired(other, wiredFacts(), nil), have)
	steps := plan.WithoutPause()
	if len(steps) == 0 || len(steps)+2 != len(plan) {
		t.Fatalf("%d of %d steps:\n%s", len(steps), len(plan), plan)
	}
	wantPaused(t, "some", plan.Paused(steps[:1]), "delete", "set")
	if p := plan.Paused(nil); len(p) != 0 {
		t.Errorf("none: %s", p)
	}
}

func TestLinksThatCannotBeInAFlowTableAreLeftOut(t *testing.T) {
	for reason, change := range map[string]func(*uplinks.Link, *uplinks.Facts){
		"it is of the kind macvlan": func(l *uplinks.Link, _ *uplinks.Facts) { l.Kind = "macvlan" },
		"it is a VLAN on eth1, which is accelerated too": func(l *uplinks.Link, f *uplinks.Facts) {
			f.Links["middle"] = uplinks.Link{Name: "middle", Index: 90, Lower: f.Links["eth1"].Index, Kind: "vlan"}
			l.Kind, l.Lower = "vlan", 90
		},
		"it has no Ethernet header": func(l *uplinks.Link, _ *uplinks.Facts) { l.MAC, l.Kind, l.PointToPoint = "", "ppp", true },
		"it is a port of eth0":      func(l *uplinks.Link, f *uplinks.Facts) { l.Master = f.Links["eth0"].Index },
		"it is in a VRF":            func(l *uplinks.Link, _ *uplinks.Facts) { l.VRF = 77 },
		"it is in the flow table fw f of another program": func(l *uplinks.Link, f *uplinks.Facts) {
			f.FlowTables = map[string]string{l.Name: "fw f"}
		},
	} {
		f, s := wiredFacts(), accelerating()
		s.Accelerate = &uplinks.Acceleration{Links: []string{"eth0", "eth1", "lan0"}}
		l := f.Links["lan0"]
		change(&l, &f)
		f.Links["lan0"] = l
		table, out, ok := s.FlowTable(f)
		if len(out) != 1 || out[0] != (uplinks.NotAccelerated{Link: "lan0", Reason: reason}) || !ok || !slices.Equal(table.Links(), []string{"eth0", "eth1"}) {
			t.Errorf("%s: %v, %v, %v", reason, table, out, ok)
		}
	}
	shared := accelerating()
	shared.Uplinks[1].Link = "eth0"
	if table, out, ok := shared.FlowTable(wiredFacts()); ok || len(out) != 1 || out[0].Reason != "several uplinks are on it" {
		t.Errorf("a shared link: %v, %v, %v", table, out, ok)
	}
}

// Links whose packets meet the flow table behind the port below are in it, and that port is not.
func TestLinksOnPortsAreInTheFlowTable(t *testing.T) {
	f, s := wiredFacts(), accelerating()
	add := func(name, kind string, index int, change func(*uplinks.Link)) {
		l := f.Links["lan0"]
		l.Name, l.Kind, l.Index = name, kind, index
		if change != nil {
			change(&l)
		}
		f.Links[name] = l
	}
	add("br0", "bridge", 90, nil)
	add("port0", "device", 91, func(l *uplinks.Link) { l.Master = 90 })
	add("bond0", "bond", 92, nil)
	add("trunk0", "device", 93, nil)
	add("trunk0.7", "vlan", 94, func(l *uplinks.Link) { l.Lower = 93 })
	table, out, ok := s.FlowTable(f)
	if want := []string{"bond0", "br0", "eth0", "eth1", "lan0", "trunk0.7"}; !ok || len(out) > 0 || !slices.Equal(table.Links(), want) {
		t.Errorf("%v, %v, %v", table, out, ok)
	}
}

// A kernel has no flow table of more links: those of uplinks go before.
func TestFlowTableHasNoMoreLinksThanTheKernelCanHave(t *testing.T) {
	f, s := wiredFacts(), accelerating()
	for i := range 400 {
		l := f.Links["lan0"]
		l.Name, l.Index = fmt.Sprintf("aaa%03d", i), 1000+i
		f.Links[l.Name] = l
	}
	table, out, ok := s.FlowTable(f)
	links := table.Links()
	if !ok || len(links) != marks.MaxFlowLinks || !slices.Contains(links, "eth0") || !slices.Contains(links, "eth1") {
		t.Errorf("%d links: %q", len(links), links)
	}
	if want := (uplinks.NotAccelerated{Link: "lan0", Reason: "a flow table has 255 links at most"}); len(out) != 403-marks.MaxFlowLinks || out[len(out)-1] != want {
		t.Errorf("%d are left out; the last: %v", len(out), out[len(out)-1])
	}
}

func TestFlowTableThatTheKernelRefusesIsNotWanted(t *testing.T) {
	f := wiredFacts()
	f.FlowRefused = "no such file"
	if want := uplinks.Desired(accelerating(), f, nil); len(want.Flows) > 0 {
		t.Errorf("%v", want.Flows)
	}
}

func TestFlowTableDefinitionCanBeReadBack(t *testing.T) {
	links := []marks.FlowLink{{Name: "wan1", Mark: 0x200}, {Name: "eth0", Mark: 0x100}}
	table := marks.NewFlowTable(0x1f00, links, []string{"lan1", "lan0"})
	if got := marks.NewFlowTable(0x1f00, table.Uplinks.Values(), []string{"lan0", "lan1"}); got != table {
		t.Errorf("%+v and %+v", got, table)
	}
	if got := table.Links(); !slices.Equal(got, []string{"eth0", "lan0", "lan1", "wan1"}) {
		t.Errorf("links: %q", got)
	}
}
