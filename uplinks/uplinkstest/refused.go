package uplinkstest

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"testing"

	"replypath/uplinks"
)

// refusingWorld refuses the default route of one path as the kernel does, whatever it is.
func refusingWorld(w World, s uplinks.Settings, path uplinks.PathKey) *countingWorld {
	return &countingWorld{World: w, fail: func(step uplinks.Step) error {
		set, is := step.(uplinks.SetRoute)
		if is && set.Route.Type == uplinks.Unicast && set.Key.Dst == path.Family.DefaultPrefix() && set.Key.Table == s.Table(uplinkOf(s, path)) {
			return fmt.Errorf("planned: %w", uplinks.ErrRefused)
		}
		return nil
	}}
}

// uplinkOf returns the uplink of the path.
func uplinkOf(s uplinks.Settings, path uplinks.PathKey) uplinks.Uplink {
	return s.Uplinks[slices.IndexFunc(s.Uplinks, func(u uplinks.Uplink) bool { return u.Name == path.Uplink })]
}

// withoutPath returns the settings with a path that is not managed.
func withoutPath(s uplinks.Settings, path uplinks.PathKey) uplinks.Settings {
	s.Uplinks = slices.Clone(s.Uplinks)
	for i := range s.Uplinks {
		u := &s.Uplinks[i]
		switch {
		case u.Name == path.Uplink && path.Family == uplinks.IPv4:
			u.Gateway4 = uplinks.Gateway{}
		case u.Name == path.Uplink:
			u.Gateway6 = uplinks.Gateway{}
		}
	}
	return s
}

// paths returns the paths of the settings.
func paths(s uplinks.Settings) (all []uplinks.PathKey) {
	for _, u := range s.Uplinks {
		for _, family := range uplinks.Families {
			all = append(all, uplinks.PathKey{Uplink: u.Name, Family: family})
		}
	}
	return all
}

// refusedPathIsLeftOut refuses the default route of each path in a first change: the result is that of settings which do not
// manage the path, and no rule is added for the path meanwhile.
func refusedPathIsLeftOut(t *testing.T, open func(t *testing.T) World) {
	for _, path := range paths(Settings()) {
		without, w := open(t), open(t)
		mustSync(t, without, withoutPath(Settings(), path))
		steps, before, err := uplinks.Change(t.Context(), refusingWorld(w, Settings(), path), Settings())
		if err != nil {
			t.Fatalf("%v: %v", path, err)
		}
		mustLeaveOut(t, before.Facts, Settings(), path)
		mustEqual(t, fmt.Sprintf("state without %v", path), dumpState(t, without), dumpState(t, w))
		wantWithout := withoutPath(Settings(), path)
		for _, s := range steps {
			set, isRoute := s.(uplinks.SetRoute)
			if isRoute && set.Key.Family == path.Family && set.Key.Table == Settings().Table(uplinkOf(Settings(), path)) {
				t.Errorf("%v: reported as executed: %s", path, s)
			}
			add, is := s.(uplinks.AddRule)
			if is && add.Rule.Family == path.Family && !uplinks.Desired(wantWithout, before.Facts, nil).Rules[add.Rule] {
				t.Errorf("%v: executed meanwhile: %s", path, s)
			}
		}
		mustSync(t, w, Settings())
		mustSync(t, w, uplinks.Settings{})
	}
}

// mustLeaveOut fails the test unless the path alone is left out.
func mustLeaveOut(t *testing.T, f uplinks.Facts, s uplinks.Settings, path uplinks.PathKey) {
	t.Helper()
	if out := f.LeftOut(s); len(out) != 1 || out[0].Path != path || out[0].Reason == "" || out[0].Remedy == "" {
		t.Errorf("left out: %v, want %v", out, path)
	}
}

// refusedPathStaysAsItWas changes the gateways of all paths, of which one is refused: that path keeps its old routes.
func refusedPathStaysAsItWas(t *testing.T, open func(t *testing.T) World) {
	moved := Settings()
	moved.Uplinks = slices.Clone(moved.Uplinks)
	for i, gateways := range [][2]string{{"198.51.100.9", "2001:db8:a::9"}, {"192.0.2.9", "2001:db8:b::9"}} {
		moved.Uplinks[i].Gateway4 = uplinks.Gateway{Addr: netip.MustParseAddr(gateways[0])}
		moved.Uplinks[i].Gateway6 = uplinks.Gateway{Addr: netip.MustParseAddr(gateways[1])}
	}
	for _, path := range paths(moved) {
		w := open(t)
		mustSync(t, w, Settings())
		_, old := observe(t, w)
		steps, before, err := uplinks.Change(t.Context(), refusingWorld(w, moved, path), moved)
		if err != nil {
			t.Fatalf("%v: %v", path, err)
		}
		mustLeaveOut(t, before.Facts, moved, path)
		for _, s := range steps {
			set, is := s.(uplinks.SetRoute)
			if is && set.Key.Family == path.Family && set.Key.Table == moved.Table(uplinkOf(moved, path)) {
				t.Errorf("%v: reported as executed: %s", path, s)
			}
		}
		facts, now := observe(t, w)
		want := uplinks.Desired(moved, facts, nil)
		for k, r := range now.Routes {
			at := slices.IndexFunc(moved.Uplinks, func(u uplinks.Uplink) bool { return moved.Table(u) == k.Table })
			if at < 0 || r.Protocol != uplinks.Protocol {
				continue
			}
			expected := want.Routes[k]
			if (uplinks.PathKey{Uplink: moved.Uplinks[at].Name, Family: k.Family}) == path {
				expected = old.Routes[k]
			}
			if r != expected {
				t.Errorf("%v refused: %s, want %s", path, uplinks.SetRoute{Key: k, Route: r}, uplinks.SetRoute{Key: k, Route: expected})
			}
		}
		mustSync(t, w, uplinks.Settings{})
	}
}

// refusalBesideAnotherFailure refuses the route of one path, while another step fails: the change is reverted as a whole.
func refusalBesideAnotherFailure(t *testing.T, open func(t *testing.T) World) {
	w := open(t)
	before := dumpState(t, w)
	path := paths(Settings())[0]
	broken := refusingWorld(w, Settings(), path)
	refuse := broken.fail
	broken.fail = func(s uplinks.Step) error {
		if s.Kind() == uplinks.KindSysctl {
			return errPlanned
		}
		return refuse(s)
	}
	done, _, err := uplinks.Change(t.Context(), broken, Settings())
	if !errors.Is(err, errPlanned) || len(done) > 0 {
		t.Errorf("%v, and these steps are not reverted:\n%s", err, done)
	}
	mustEqual(t, "state", before, dumpState(t, w))
}
