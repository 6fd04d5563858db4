package answer

import (
	"strings"
	"testing"

	"replypath/test/box"
	"replypath/test/world"
)

const (
	helped   = "helped by [udp]"
	listenOn = ":7000/udp"
)

func TestReportsSayThatAServerIsHelped(t *testing.T) {
	b := newBox(t, box.Conditions{RPFilter: 1}, world.Options{}, `prove = ["udp://:7000"]`)
	b.Gateway.ServeUDP(box.ServedPort, world.Wildcard)
	s := b.Start()
	if r := b.Must(0, "explain", "--listen", listenOn); strings.Count(r.Stdout, helped) != 2 || strings.Contains(r.Stdout, "WRONG") {
		t.Errorf("explain: %s", r)
	}
	d := b.RunDoctor()
	b.WantFinding(d, box.IsNote, "udp-server-helped", "on UDP port 7000", helped)
	if found := d.Of("udp-server"); len(found) > 0 {
		t.Errorf("doctor still warns: %s", d)
	}
	if r := b.Run("verify"); r.Status != 0 || strings.Contains(r.Stdout, "wildcard") {
		t.Errorf("verify: %s", r)
	}
	if r := b.Run("status"); !strings.Contains(r.Stdout, "udp       servers on the wildcard address are helped") {
		t.Errorf("status: %s", r)
	}
	s.Stop()
}

func TestReportsNameTheHelpWhereItIsOff(t *testing.T) {
	world.NewCgroup(t)
	b := box.New(t, box.Conditions{RPFilter: 1}.Build(t, 2, world.Options{}))
	b.Gateway.ServeUDP(box.ServedPort, world.Wildcard)
	b.Apply()
	if r := b.Must(3, "explain", "--listen", listenOn); strings.Contains(r.Stdout, helped) || !strings.Contains(r.Stdout, "WRONG") {
		t.Errorf("explain: %s", r)
	}
	b.WantFinding(b.RunDoctor(), box.IsWarning, "udp-server", "on UDP port 7000", `answer = "asked" in [udp]`)
	b.Shell("ip route add default via 192.0.2.1 dev eth1 metric 100")
	r := b.Run("init")
	for _, want := range []string{"on UDP port 7000", "\n# [udp]\n# answer = \"asked\"\n"} {
		if !strings.Contains(r.Stdout, want) {
			t.Errorf("init does not propose %q: %s", want, r)
		}
	}
}

func TestAServerOutsideTheControlGroupIsNotSaidToBeHelped(t *testing.T) {
	group := world.NewCgroup(t)
	b := newBoxIn(t, world.Subgroup(t, group), box.Conditions{RPFilter: 1}, world.Options{})
	b.Gateway.ServeUDP(box.ServedPort, world.Wildcard)
	b.Apply()
	wantWrong(t, b)
	b.Must(3, "explain", "--listen", listenOn)
	b.WantFinding(b.RunDoctor(), box.IsWarning, "udp-server", "on UDP port 7000")
}
