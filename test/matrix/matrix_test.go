package matrix

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"replypath/health"
	"replypath/test/box"
	"replypath/test/world"
)

// outcome is what a fault led to.
type outcome struct {
	noticed                                           time.Duration // by the service
	problems                                          []string
	falseYes, falseNo, wrongCause, unnoticed, unfound int
}

// inProve are the services that a second run of verify proves as well.
const inProve = `prove = ["tcp://:8080", "tcp://:2222", "udp://:5000", "udp://:5353"]`

// noticeBound is how long the service may take to notice a fault, without traffic, on a machine that runs many tests at a time. When
// the proof begins is asserted by TestAnnouncedChangesAreProvenSoon and TestPolledChangesAreProvenWithinEightSeconds (cmd/internal/daemon).
const noticeBound = 90 * time.Second

// rareProofs makes the service of the whole matrix prove nothing by itself for the time of a test: what notices a fault is an event.
const rareProofs = "\n[proof]\nevery = \"30m\"\n"

// scene is a gateway with a fault.
type scene struct {
	*box.Box
	t      *testing.T
	fault  fault
	before health.Status
	out    *outcome
}

func (s *scene) problem(count *int, format string, args ...any) {
	s.t.Helper()
	*count++
	s.out.problems = append(s.out.problems, fmt.Sprintf(format, args...))
	s.t.Errorf(format, args...)
}

// run plants a fault beside the running service, and checks what it, verify and doctor report.
func run(t *testing.T, f fault, backend string) (o outcome) {
	b := box.New(t, world.TwoISPs(t), backend)
	serve(b)
	proving := filepath.Join(b.Dir, "proving.toml")
	text, err := os.ReadFile(b.Config)
	if err == nil {
		err = os.WriteFile(proving, []byte(inProve+"\n"+string(text)), 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	service := b.Start()
	took, before, up := await(b, box.EventualTimeout, allUp)
	if !up {
		t.Fatalf("not all paths are up after %s: %+v", took, before.Uplinks)
	}
	if hurt, _ := f.hurt(); os.Getenv(wholeVariable) != "" && len(hurt) > 0 && !f.refused {
		before = proveRarely(b, string(text))
	}
	s := &scene{Box: b, t: t, fault: f, before: before, out: &o}
	usual := findings(b)
	f.plant(b)
	s.checkService()
	if f.service == repairs {
		service.Stop()
		b.Apply() // what the service has not yet repaired in the other family
		f.plant(b)
	}
	s.checkVerify("without prove", b.Verify())
	b.Config = proving
	s.checkVerify("with prove", b.Verify())
	s.checkDoctor(usual)
	if got := send(b, f.lost); got.String() != f.lost.String() && !f.more {
		t.Errorf("the requests that are lost: %q, want %q", got, f.lost)
	}
	s.checkVerify("after requests", b.Verify())
	if f.service != repairs {
		s.checkUntouched()
		service.Stop()
	}
	return o
}

// proveRarely adds rareProofs to the configuration of the service, and returns its status when it has proven all paths since.
func proveRarely(b *box.Box, config string) health.Status {
	b.T.Helper()
	if err := os.WriteFile(b.Config, []byte(config+rareProofs), 0o600); err != nil {
		b.T.Fatal(err)
	}
	reloaded := time.Now()
	b.Must(0, "reload")
	_, now, proven := await(b, box.EventualTimeout, func(s health.Status) bool { return provenSince(reloaded)(s) && allUp(s) })
	if !proven {
		b.T.Fatalf("not all paths are proven after a reload: %+v", now.Uplinks)
	}
	return now
}

// hurt returns the paths with losses, and the others.
func (f fault) hurt() (hurt, others []path) {
	for _, p := range allPaths {
		if len(f.lost[p]) > 0 {
			hurt = append(hurt, p)
		} else {
			others = append(others, p)
		}
	}
	return hurt, others
}

// checkService waits until the service has noticed the fault; or has proven all paths again, where there is none.
func (s *scene) checkService() {
	s.t.Helper()
	hurt, _ := s.fault.hurt()
	planted := time.Now()
	if len(hurt) == 0 && s.fault.service != repairs || s.fault.refused {
		if _, last, held := await(s.Box, noticeBound, provenSince(planted)); !held {
			s.t.Errorf("the service has not proven all paths again: %+v", last.Uplinks)
		}
		return
	}
	if len(hurt) == 0 {
		hurt = allPaths[:1]
	}
	var noticed bool
	var last health.Status
	s.out.noticed, last, noticed = await(s.Box, noticeBound, func(now health.Status) bool {
		return !slices.ContainsFunc(hurt, func(p path) bool { return !s.fault.service.shows(now, s.before, p) })
	})
	s.t.Logf("noticed after %s", s.out.noticed)
	if noticed {
		return
	}
	for _, p := range hurt {
		f := ofPath(last, p)
		s.problem(&s.out.unnoticed, "service: %s is %s after %s, want another state: %s", p, f.State, s.out.noticed, f.Proof.Verdict().Detail)
	}
}

// checkVerify compares the verdicts of verify with the losses.
func (s *scene) checkVerify(when string, v box.VerifyReport) {
	s.t.Helper()
	hurt, others := s.fault.hurt()
	if s.fault.refused {
		hurt, others = nil, allPaths
	}
	for _, p := range others {
		got := verdictOf(v, p)
		switch {
		case got.Result == "no" || got.Result == "unknown" && !s.fault.refused:
			s.problem(&s.out.falseNo, "verify %s: %s: %s, and no reply is lost", when, p, got)
		case got.Cause != "" && !oneOf(got.Cause, s.fault.warns):
			s.problem(&s.out.wrongCause, "verify %s: %s: %s, want the cause %q of the warning", when, p, got, s.fault.warns)
		}
	}
	for _, p := range hurt {
		got := verdictOf(v, p)
		want := map[bool]string{false: "no", true: "unknown"}[s.fault.unknown || s.fault.some && got.Result == "unknown"]
		switch {
		case s.fault.absent && got.Result != "yes":
		case got.Result == "yes":
			s.problem(&s.out.falseYes, "verify %s: %s: %s, and %s lost", when, p, got, kindsText(s.fault.lost[p]))
		case got.Result != want || !oneOf(got.Cause, s.fault.cause):
			s.problem(&s.out.wrongCause, "verify %s: %s: %s, want %s %s", when, p, got, want, s.fault.cause)
		}
	}
}

// checkDoctor wants the finding, besides the usual ones.
func (s *scene) checkDoctor(usual []string) {
	s.t.Helper()
	got := slices.DeleteFunc(findings(s.Box), func(id string) bool { return slices.Contains(usual, id) })
	if s.fault.doctor != "" && !slices.Contains(got, s.fault.doctor) {
		s.problem(&s.out.unfound, "doctor finds %q, want %s", got, s.fault.doctor)
	}
	s.t.Logf("doctor: %s", strings.Join(got, " "))
}

// checkUntouched wants no path without a loss to have been anything but up.
func (s *scene) checkUntouched() {
	s.t.Helper()
	now, _ := status(s.Box)
	_, others := s.fault.hurt()
	if s.fault.refused {
		others = allPaths
	}
	for _, p := range others {
		f := ofPath(now, p)
		if f.State != health.Up || f.StateChanges != ofPath(s.before, p).StateChanges {
			s.problem(&s.out.falseNo, "service: %s is %s after %d changes of its state, and no reply is lost: %s", p, f.State, f.StateChanges, f.Reason)
		}
	}
}
