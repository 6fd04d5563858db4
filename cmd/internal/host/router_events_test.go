package host

import (
	"net"
	"net/netip"
	"reflect"
	"slices"
	"testing"
	"time"

	"replypath/cmd/internal/statedir"
	"replypath/uplinks"
	"replypath/uplinks/egress"
	"replypath/uplinks/uplinkstest"
)

// The index of eth1 in eventTest, and the hardware addresses of the gateways.
const (
	followedLink = 3
	dslMAC       = "02:00:00:00:00:0a"
	cableMAC     = "02:00:00:00:00:0b"
)

// eventTest returns what has read the neighbour entries of the gateways of dsl and cable, which are on eth1.
func eventTest(t *testing.T) (m *routerMACs, f uplinks.Facts) {
	t.Helper()
	state, err := statedir.Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	s := uplinks.DefaultSettings()
	gateway := func(text string) uplinks.Gateway { return uplinks.Gateway{Addr: netip.MustParseAddr(text)} }
	s.Uplinks = []uplinks.Uplink{
		{Name: "dsl", ID: 2, Link: "eth1", Gateway4: gateway("192.0.2.1"), WhenDown: uplinks.Hold},
		{Name: "cable", ID: 3, Link: "eth1", Gateway4: gateway("192.0.2.3"), WhenDown: uplinks.Hold, Routers: []netip.Addr{netip.MustParseAddr("192.0.2.13")}},
	}
	f = uplinkstest.Facts()
	l := f.Links["eth1"]
	l.Index = followedLink
	f.Links["eth1"] = l
	m = &routerMACs{state: state}
	m.set(s)
	entries := []egress.Neighbour{entryOf(t, "192.0.2.1", dslMAC), entryOf(t, "192.0.2.3", cableMAC)}
	if _, err := m.read(f, func() ([]egress.Neighbour, error) { return entries, nil }, true); err != nil {
		t.Fatal(err)
	}
	return m, f
}

// entryOf returns a neighbour entry on eth1.
func entryOf(t *testing.T, addr, mac string) egress.Neighbour {
	t.Helper()
	b, err := net.ParseMAC(mac)
	if err != nil {
		t.Fatal(err)
	}
	return egress.Neighbour{Link: followedLink, Addr: netip.MustParseAddr(addr), MAC: string(b), State: egress.Reachable}
}

// entryNow is a neighbour table with one entry.
type entryNow struct{ entry egress.Neighbour }

func (e entryNow) Neighbour(link int, a netip.Addr) (egress.Neighbour, bool, error) {
	return e.entry, link == e.entry.Link && a == e.entry.Addr, nil
}

// An event that is older than the last reading, of which the entry has nothing any more, changes nothing.
func TestOldEventChangesNothing(t *testing.T) {
	const a, b, c = dslMAC, cableMAC, "02:00:00:00:00:0c"
	for now, want := range map[string][]string{b: {b}, "02:00:00:00:00:0d": {b, "02:00:00:00:00:0d"}} {
		m, _ := eventTest(t)
		m.follow(entryOf(t, "192.0.2.3", c), entryNow{entryOf(t, "192.0.2.3", now)}, time.Now())
		if got, _ := m.latest(); !slices.Equal(got["cable"], want) {
			t.Errorf("the entry has %s: got %v, want %v", now, got["cable"], want)
		}
	}
}

func TestEventsChangeWhatIsKnownOfRouters(t *testing.T) {
	const a, b, c = dslMAC, cableMAC, "02:00:00:00:00:0c"
	m, _ := eventTest(t)
	for _, e := range []struct {
		what       string
		entry      egress.Neighbour
		changed    bool
		dsl, cable []string
	}{
		{"the same entry", entryOf(t, "192.0.2.3", b), false, []string{a}, []string{b}},
		{"an entry of no router", entryOf(t, "192.0.2.9", c), false, []string{a}, []string{b}},
		{"the same address on another link", egress.Neighbour{Link: 4, Addr: netip.MustParseAddr("192.0.2.3"), MAC: "\x02\x00\x00\x00\x00\x0c", State: egress.Reachable}, false, []string{a}, []string{b}},
		{"an entry that has failed", egress.Neighbour{Link: followedLink, Addr: netip.MustParseAddr("192.0.2.3")}, false, []string{a}, []string{b}},
		{"another entry of the gateway", entryOf(t, "192.0.2.3", c), true, []string{a}, []string{b, c}},
		{"the old one again", entryOf(t, "192.0.2.3", b), false, []string{a}, []string{b, c}},
		{"and the new one", entryOf(t, "192.0.2.3", c), false, []string{a}, []string{b, c}},
		{"the old one is the other gateway's now", entryOf(t, "192.0.2.1", b), true, []string{a, b}, []string{c}},
		{"the first entry of another router", entryOf(t, "192.0.2.13", a), true, []string{b}, []string{a, c}},
	} {
		m.mu.Lock()
		news := make(chan struct{})
		m.routersChanged = news
		m.mu.Unlock()
		if changed := m.follow(e.entry, entryNow{e.entry}, time.Now()); changed != e.changed {
			t.Errorf("%s: changed: %t", e.what, changed)
		}
		select {
		case <-news:
			if !e.changed {
				t.Errorf("%s: it is announced", e.what)
			}
		default:
			if e.changed {
				t.Errorf("%s: it is not announced", e.what)
			}
		}
		got, _ := m.latest()
		if want := (map[string][]string{"dsl": e.dsl, "cable": e.cable}); !reflect.DeepEqual(got, want) {
			t.Errorf("%s: got %v, want %v", e.what, got, want)
		}
	}
	if _, family := m.latest(); family != uplinks.IPv4 {
		t.Errorf("an entry of %s has changed last", family)
	}
}

// What an event has announced is saved at the next reading, whatever the neighbour table has then.
func TestRoutersOfEventsAreSaved(t *testing.T) {
	const a, b, c = dslMAC, cableMAC, "02:00:00:00:00:0c"
	m, f := eventTest(t)
	entry := entryOf(t, "192.0.2.3", c)
	m.follow(entry, entryNow{entry}, time.Now())
	if _, err := m.read(f, func() ([]egress.Neighbour, error) { return nil, nil }, true); err != nil {
		t.Fatal(err)
	}
	saved := &routerMACs{state: m.state}
	saved.set(m.settings)
	got, err := saved.read(f, func() ([]egress.Neighbour, error) { return nil, nil }, true)
	if want := (map[string][]string{"dsl": {a}, "cable": {b, c}}); err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("got %v, %v, want %v", got, err, want)
	}
}

// The addresses of routers follow from settings and links: until a reading, events of others say nothing.
func TestEventsAreIgnoredBeforeTheSettingsWereRead(t *testing.T) {
	m, _ := eventTest(t)
	m.set(m.settings)
	entry := entryOf(t, "192.0.2.3", "02:00:00:00:00:0c")
	if m.follow(entry, entryNow{entry}, time.Now()) {
		t.Error("an event is followed")
	}
	if known, _ := m.latest(); known != nil {
		t.Error("routers are known")
	}
}
