package uplinks_test

import (
	"context"
	"errors"
	"maps"
	"strings"
	"testing"

	"replypath/marks"
	"replypath/uplinks"
	"replypath/uplinks/uplinkstest"
)

// stepRecorder records steps, of which one kind fails. It goes on after a failure, as the kernel does with a batch.
type stepRecorder struct {
	uplinks.Kernel
	fails func(uplinks.Step) bool
	done  uplinks.Plan
}

func (r *stepRecorder) ApplyAll(_ context.Context, steps []uplinks.Step) (errs []error) {
	for _, s := range steps {
		if r.fails(s) {
			errs = append(errs, errStopped)
			continue
		}
		errs, r.done = append(errs, nil), append(r.done, s)
	}
	return errs
}

// What an old mark needs stays when connections cannot get the new one: with the mark itself, and with what comes before.
func TestWithoutNewMarksTheOldOnesStay(t *testing.T) {
	for _, backend := range []marks.Backend{marks.NFT, marks.Nftables} {
		facts := uplinkstest.Facts()
		facts.Firewalls = maps.Clone(facts.Firewalls)
		for f, key := range facts.Firewalls {
			key.Backend = backend
			facts.Firewalls[f] = key
		}
		for _, from := range []uplinks.Settings{uplinkstest.Settings(), outboundSettings()} {
			have, to := uplinks.Desired(from, facts, nil), withIDs(from, [2]marks.ID{9, 2})
			plan := uplinks.Diff(uplinks.Desired(to, facts, nil), have)
			count, loads := 0, 0
			for _, s := range plan {
				switch s := s.(type) {
				case uplinks.MoveMark:
					count++
				case uplinks.LoadChains:
					if count > 0 && s.Removes() {
						loads++
					}
				}
			}
			if count != 2 || backend == marks.Nftables && loads != 2 {
				t.Fatalf("%s: %d marks move, %d firewalls change afterwards:\n%s", backend, count, loads, plan)
			}
			for name, fails := range map[string]func(uplinks.Step) bool{
				"the mark":  func(s uplinks.Step) bool { return movesMarks(uplinks.Plan{s}) },
				"the chain": func(s uplinks.Step) bool { return s.Kind() == uplinks.KindChains && !s.Removes() },
			} {
				k := &stepRecorder{fails: fails}
				if _, err := uplinks.Execute(t.Context(), k, plan); !errors.Is(err, errStopped) {
					t.Fatal(err)
				}
				for _, s := range k.done {
					if s.Removes() {
						t.Errorf("%s, %s fails: this is done nevertheless: %s", backend, name, strings.SplitN(s.String(), "\n", 2)[0])
					}
				}
			}
		}
	}
}

// The desired state is reached, but for what the kernel refuses, when a write fails in each attempt.
func TestExchangeDespiteAWriteThatFails(t *testing.T) {
	from, facts := uplinkstest.Settings(), uplinkstest.Facts()
	k := uplinkstest.NewFake(facts)
	k.Fail = func(s uplinks.Step) error {
		if s.Kind() == uplinks.KindSysctl {
			return errStopped
		}
		return nil
	}
	if _, err := uplinks.Sync(t.Context(), k, from); !errors.Is(err, errStopped) {
		t.Fatal(err)
	}
	to := withIDs(from, exchanged)
	if _, err := uplinks.Sync(t.Context(), k, to); !errors.Is(err, errStopped) {
		t.Fatal(err)
	}
	_, have, err := k.Observe(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	want := uplinks.Desired(to, facts, nil)
	for r := range want.Rules {
		if !have.Rules[r] {
			t.Errorf("there is no rule %s", r)
		}
	}
	for key, r := range want.Routes {
		if have.Routes[key] != r {
			t.Errorf("there is no route %s", uplinks.SetRoute{Key: key, Route: r})
		}
	}
}

// A change that fails when ids are half exchanged goes back by ids that nobody has: after each step each connection leaves by its link.
func TestFailedExchangeGoesBackInStages(t *testing.T) {
	for _, from := range []uplinks.Settings{uplinkstest.Settings(), outboundSettings()} {
		k := newMarkedKernel(t, from)
		before, to := stateOf(t, k.Fake), withIDs(from, exchanged)
		failures := 0 // of the attempts of the change
		k.Fail = func(s uplinks.Step) error {
			if del, is := s.(uplinks.DelRule); is && del.Rule.Family == uplinks.IPv4 && del.Rule.Mark == from.Mask.Mark(3) && failures < 3 {
				failures++
				return errStopped
			}
			return nil
		}
		if _, _, err := uplinks.Change(t.Context(), k, to); !errors.Is(err, errStopped) || failures != 3 {
			t.Fatalf("%v, after %d failures", err, failures)
		}
		if after := stateOf(t, k.Fake); after != before {
			t.Errorf("it does not go back to\n%s\nbut to\n%s", before, after)
		}
		k.wantMarksOf(from)
	}
}

// A change whose ids in between the kernel never takes is given up: exchanged at once, each connection would leave by the other link.
func TestChangeExchangesNoIDsAtOnce(t *testing.T) {
	for _, from := range []uplinks.Settings{uplinkstest.Settings(), outboundSettings()} {
		k := newMarkedKernel(t, from)
		before := stateOf(t, k.Fake)
		failures := 0
		k.Fail = func(s uplinks.Step) error {
			if add, is := s.(uplinks.AddRule); is && add.Rule.Family == uplinks.IPv6 && add.Rule.Mark == from.Mask.Mark(3) {
				failures++
				return errStopped
			}
			return nil
		}
		if _, _, err := uplinks.Change(t.Context(), k, withIDs(from, exchanged)); !errors.Is(err, errStopped) || failures < uplinks.MaxBetween {
			t.Fatalf("%v, after %d failures", err, failures)
		}
		if after := stateOf(t, k.Fake); after != before {
			t.Errorf("it does not go back to\n%s\nbut to\n%s", before, after)
		}
		k.wantMarksOf(from)
	}
}
