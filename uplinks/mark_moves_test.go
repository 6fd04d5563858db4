package uplinks_test

import (
	"context"
	"errors"
	"slices"
	"testing"

	"replypath/marks"
	"replypath/uplinks"
	"replypath/uplinks/uplinkstest"
)

var errStopped = errors.New("stopped")

// markedKernel has an open connection by each link in each family, with the mark that it got by the first settings, and stops after some
// writes.
type markedKernel struct {
	*uplinkstest.Fake
	t          *testing.T
	marks      map[openConnection]marks.Mark
	writesLeft int // negative: it does not stop
}

// openConnection is a connection of the markedKernel.
type openConnection struct {
	link   string
	family uplinks.Family
}

// newMarkedKernel returns a kernel with the settings in force.
func newMarkedKernel(t *testing.T, s uplinks.Settings) *markedKernel {
	t.Helper()
	k := &markedKernel{uplinkstest.NewFake(uplinkstest.Facts()), t, map[openConnection]marks.Mark{}, -1}
	mustSyncTo(t, k.Fake, s)
	for _, u := range s.Uplinks {
		for _, family := range uplinks.Families {
			k.marks[openConnection{u.Link, family}] = s.Mark(u)
		}
	}
	return k
}

// Apply executes a step, after which each connection must leave by its link.
func (k *markedKernel) Apply(ctx context.Context, s uplinks.Step) error {
	if k.writesLeft == 0 {
		return errStopped
	}
	k.writesLeft--
	if err := k.Fake.Apply(ctx, s); err != nil {
		return err
	}
	if m, is := s.(uplinks.MoveMark); is {
		for c, mark := range k.marks {
			if mark == m.From && c.family == m.Family {
				k.marks[c] = m.To
			}
		}
	}
	if k.writesLeft >= 0 || !s.Removes() && s.Kind() != uplinks.KindRoute && s.Kind() != uplinks.KindRule {
		return nil // another run, which does not stop, looks at what is before the stop
	}
	_, have, err := k.Observe(ctx)
	if err != nil {
		return err
	}
	for c, mark := range k.marks {
		if by := linkOf(have, mark, c.family); by != c.link {
			k.t.Errorf("after %q %s connections of %s, with the mark %s, leave by %q", s, c.family, c.link, mark, by)
		}
	}
	return nil
}

// ApplyAll executes all steps, also after a failure.
func (k *markedKernel) ApplyAll(ctx context.Context, steps []uplinks.Step) (errs []error) {
	for _, s := range steps {
		errs = append(errs, k.Apply(ctx, s))
	}
	return errs
}

// syncStopped syncs to the settings, stops after that many writes, unless it is negative, and syncs again. It returns how many there were
// until the first sync ended.
func (k *markedKernel) syncStopped(to uplinks.Settings, after int) (writes int) {
	k.t.Helper()
	k.Writes, k.writesLeft = 0, after
	_, err := uplinks.Sync(k.t.Context(), k, to)
	writes = k.Writes
	if after >= 0 && errors.Is(err, errStopped) {
		k.writesLeft = -1
		_, err = uplinks.Sync(k.t.Context(), k, to)
	}
	if err != nil {
		k.t.Fatalf("stopped after %d writes: %v", after, err)
	}
	return writes
}

// wantMarksOf fails the test unless the connections have the marks of the settings.
func (k *markedKernel) wantMarksOf(s uplinks.Settings) {
	k.t.Helper()
	for _, u := range s.Uplinks {
		for _, family := range uplinks.Families {
			if mark := k.marks[openConnection{u.Link, family}]; mark != s.Mark(u) {
				k.t.Errorf("in the end %s connections of %s have the mark %s", family, u.Link, mark)
			}
		}
	}
}

// linkOf returns the link by which packets with the mark leave.
func linkOf(s uplinks.State, mark marks.Mark, family uplinks.Family) string {
	for r := range s.Rules {
		if r.Family == family && r.Mark == mark && r.Mask == marks.DefaultMask && r.Action == uplinks.Lookup {
			for key, route := range s.Routes {
				if key.Family == family && key.Table == r.Table && key.Dst == family.DefaultPrefix() && route.Link != "" {
					return route.Link
				}
			}
		}
	}
	return ""
}

// Uplinks get other ids, also those of each other. After each step each connection leaves by its link, and a change that was stopped after
// any step is completed by the next one, with the same result.
func TestConnectionsFollowTheIDsOfTheirUplinks(t *testing.T) {
	for name, ids := range map[string][2]marks.ID{"exchanged": {2, 1}, "one of them": {9, 2}, "one takes that of another": {9, 1}} {
		for _, from := range []uplinks.Settings{uplinkstest.Settings(), outboundSettings()} {
			to := withIDs(from, ids)
			fresh := uplinkstest.NewFake(uplinkstest.Facts())
			mustSyncTo(t, fresh, to)
			want := stateOf(t, fresh)
			stride := 1 // where it costs less
			if len(from.Outbound.Policies) > 0 || name != "exchanged" {
				stride = 7
			}
			for after, writes := -1, 0; after < writes && !t.Failed(); after += stride {
				k := newMarkedKernel(t, from)
				writes = max(writes, k.syncStopped(to, after))
				k.wantMarksOf(to)
				if got := stateOf(t, k.Fake); got != want {
					t.Errorf("in the end there is\n%s\ninstead of\n%s", got, want)
				}
				if t.Failed() {
					t.Errorf("%s: stopped after %d writes", name, after)
				}
			}
		}
	}
}

// withIDs returns the settings with other ids.
func withIDs(s uplinks.Settings, ids [2]marks.ID) uplinks.Settings {
	s.Uplinks = slices.Clone(s.Uplinks)
	for i, id := range ids {
		s.Uplinks[i].ID = id
	}
	slices.SortFunc(s.Uplinks, func(a, b uplinks.Uplink) int { return int(a.ID) - int(b.ID) })
	return s
}

func mustSyncTo(t *testing.T, k uplinks.Kernel, s uplinks.Settings) {
	t.Helper()
	if _, err := uplinks.Sync(t.Context(), k, s); err != nil {
		t.Fatal(err)
	}
}

func stateOf(t *testing.T, k uplinks.Kernel) string {
	t.Helper()
	_, have, err := k.Observe(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return uplinkstest.Dump(have)
}

// Without ids that nobody has, an exchange is made at once, and its disruptions are named: with a mask of two bits there are three ids.
func TestExchangeWithoutFreeIDs(t *testing.T) {
	s, facts := uplinkstest.Settings(), uplinkstest.Facts()
	s.Mask = 0x300
	have := uplinks.Desired(s, facts, nil)
	if _, _, between := uplinks.DesiredNext(withIDs(s, [2]marks.ID{2, 1}), facts, nil, have); between {
		t.Error("two uplinks have free ids, of which there is one")
	}
	if now, _, between := uplinks.DesiredNext(withIDs(s, [2]marks.ID{3, 1}), facts, nil, have); !between || now.Uplinks[0].ID != 2 || now.Uplinks[0].Name != "lte" {
		t.Errorf("an uplink does not keep its id until the one that it gets is free: %+v", now.Uplinks)
	}
}
