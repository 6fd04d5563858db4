package uplinkstest_test

import (
	"errors"
	"strings"
	"testing"

	"replypath/marks"
	"replypath/uplinks"
	"replypath/uplinks/uplinkstest"
)

func open(*testing.T) uplinkstest.World { return uplinkstest.NewFake(uplinkstest.Facts()) }

func TestConformance(t *testing.T) { uplinkstest.Conformance(t, open) }

// TestFailureOfAnyStepIsReverted lets every step fail in turn, which takes too long on the real kernel.
func TestFailureOfAnyStepIsReverted(t *testing.T) {
	w := open(t)
	removed, moved := uplinkstest.Settings(), uplinkstest.Settings()
	removed.Uplinks = removed.Uplinks[1:]
	moved.Mask, moved.Priority, moved.TableBase, moved.Group = 0xff0000, 5000, 9200, 99
	for _, to := range []uplinks.Settings{uplinkstest.Settings(), removed, moved, uplinkstest.Settings(), {}} {
		plan, _, err := uplinks.Preview(t.Context(), w, to, nil)
		if err != nil {
			t.Fatal(err)
		}
		for _, s := range plan {
			uplinkstest.CheckFailedChange(t, w, to, s)
		}
		if _, err := uplinks.Sync(t.Context(), w, to); err != nil {
			t.Fatal(err)
		}
	}
}

func TestFakeRefusesWhatTheKernelRefuses(t *testing.T) {
	k := uplinkstest.NewFake(uplinkstest.Facts())
	facts, _, _ := k.Observe(t.Context())
	firewall := facts.Firewalls[uplinks.IPv4]
	must := func(s uplinks.Step) {
		t.Helper()
		if err := k.Apply(t.Context(), s); err != nil {
			t.Errorf("%s: %v", s, err)
		}
	}
	rule := uplinks.Rule{Family: uplinks.IPv4, Priority: 7, Action: uplinks.Nop}
	must(uplinks.AddRule{Rule: rule})
	if err := k.Apply(t.Context(), uplinks.AddRule{Rule: rule}); !errors.Is(err, uplinkstest.ErrExists) {
		t.Errorf("a rule twice: %v", err)
	}
	must(uplinks.DelRule{Rule: rule})
	must(uplinks.DelRule{Rule: rule})
	k.ApplyForeign(t, uplinkstest.Iptables(firewall, "-N "+marks.New, "-N "+marks.Pre, "-A "+marks.Pre+" -j "+marks.New, "-I PREROUTING 1 -j "+marks.Pre))
	_, before, _ := k.Observe(t.Context())
	for name, commands := range map[string][]string{
		"a missing jump is deleted":           {"-N NEW", "-D OUTPUT -j " + marks.Out},
		"a chain with rules is deleted":       {"-N NEW", "-X " + marks.Pre},
		"a chain with a jump is deleted":      {"-F " + marks.New, "-X " + marks.New},
		"a jump to a missing chain is added":  {"-A " + marks.New + " -j " + marks.Out},
		"a rule is added to a missing chain":  {"-A " + marks.Out + " -j RETURN"},
		"a missing chain is deleted":          {"-F " + marks.Pre, "-X " + marks.Out},
		"a chain of the hooks is referred to": {"-F " + marks.Pre, "-X " + marks.Pre},
	} {
		if err := k.RunForeign(uplinkstest.Iptables(firewall, commands...)); err == nil {
			t.Errorf("%s: no error", name)
		}
		if _, after, _ := k.Observe(t.Context()); uplinkstest.Dump(before) != uplinkstest.Dump(after) {
			t.Errorf("%s: executed in part:\n%s", name, uplinkstest.Dump(after))
		}
	}
}

func TestFakeObserveReturnsCopies(t *testing.T) {
	k := uplinkstest.NewFake(uplinkstest.Facts())
	facts, have, _ := k.Observe(t.Context())
	clean := uplinkstest.Dump(have)
	clear(have.Tunables)
	facts.Links["eth0"].Addrs[0] = uplinks.Addr{}
	delete(facts.Links, "eth1")
	again, have, _ := k.Observe(t.Context())
	if uplinkstest.Dump(have) != clean || len(again.Links) != 4 || !again.Links["eth0"].Addrs[0].Prefix.IsValid() {
		t.Error("a change to a returned state or to returned facts changes the fake")
	}
}

func TestFakeFailsStepsChosenByFail(t *testing.T) {
	k := uplinkstest.NewFake(uplinkstest.Facts())
	k.Fail = func(s uplinks.Step) error {
		if _, ok := s.(uplinks.LoadChains); ok {
			return errors.New("xtables is broken")
		}
		return nil
	}
	_, err := uplinks.Sync(t.Context(), k, uplinkstest.Settings())
	if err == nil || !strings.Contains(err.Error(), "xtables is broken") {
		t.Fatal(err)
	}
	_, have, _ := k.Observe(t.Context())
	if len(have.Rules) == 0 || len(have.Routes) == 0 || len(have.Chains) != 0 || k.Writes == 0 {
		t.Errorf("a failed step kept others from being executed:\n%s", uplinkstest.Dump(have))
	}
}
