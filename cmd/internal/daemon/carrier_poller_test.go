package daemon

import (
	"errors"
	"net/netip"
	"slices"
	"testing"
	"time"

	"replypath/health"
	"replypath/uplinks"
)

// fakeLinkState is the state of every link.
type fakeLinkState struct {
	state uplinks.LinkState
	err   error
}

func (f fakeLinkState) State(int) (uplinks.LinkState, error) { return f.state, f.err }

func TestCarrierPollReportsLinksWithoutCarrier(t *testing.T) {
	key := health.Key{Uplink: "lte", Family: uplinks.IPv4}
	at := health.Path{Key: key, Link: "eth1", Index: 7, Up: true, Carrier: true,
		Source: netip.MustParseAddr("192.0.2.2"), Gateway: netip.MustParseAddr("192.0.2.1")}
	for name, c := range map[string]struct {
		is   uplinks.LinkState
		err  error
		want string
	}{
		"all is well":                {uplinks.LinkState{Name: "eth1", Up: true, Carrier: true}, nil, ""},
		"no carrier":                 {uplinks.LinkState{Name: "eth1", Up: true}, nil, "no carrier on eth1"},
		"down":                       {uplinks.LinkState{Name: "eth1"}, nil, "eth1 is down"},
		"another link has the index": {uplinks.LinkState{Name: "eth9"}, nil, ""},
		"an error":                   {uplinks.LinkState{}, errors.New("no such link"), ""},
		"no state":                   {uplinks.LinkState{}, nil, ""},
	} {
		s := newTestService(t, &fakeHost{}, uplinks.Settings{})
		m := s.monitor
		m.Configure(health.Settings{Uplinks: []health.UplinkSettings{{Name: "lte", Quorum: 1}}}, []health.Path{at})
		s.carriers.poll(fakeLinkState{c.is, c.err}, &at)
		if got := m.Status()[0].Families[0].Reason; (c.want == "") != (got != "eth1 is down" && got != "no carrier on eth1") || c.want != "" && got != c.want {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
}

func TestPathsWithCarrierHaveDistinctLinks(t *testing.T) {
	paths := []health.Path{{Index: 2, Up: true, Carrier: true}, {Index: 2, Up: true, Carrier: true}, {Index: 3, Up: true}, {}, {Index: 5, Up: true, Carrier: true}}
	var indices []int
	for _, p := range pathsWithCarrier(paths) {
		indices = append(indices, p.Index)
	}
	if !slices.Equal(indices, []int{2, 5}) {
		t.Error(indices)
	}
}

func TestCarrierPollSchedule(t *testing.T) {
	for _, c := range []struct {
		links   int
		changed bool
		want    time.Duration
		perPoll int
	}{{0, true, idlePollInterval, 0}, {1, false, carrierPollInterval, 1}, {linksPerPoll, true, carrierPollInterval, linksPerPoll}, {linksPerPoll + 1, false, idlePollInterval, 0}, {linksPerPoll + 1, true, fastCarrierPollInterval, linksPerPoll},
		{maxPolledLinks, true, fastCarrierPollInterval, linksPerPoll}, {maxPolledLinks + 1, true, idlePollInterval, 0}} {
		if got, perPoll := carrierPollSchedule(c.links, c.changed); got != c.want || perPoll != c.perPoll {
			t.Errorf("%d links, one of them changed: %v: polls %s apart, want %s; %d links at each, want %d", c.links, c.changed, got, c.want, perPoll, c.perPoll)
		}
	}
}
