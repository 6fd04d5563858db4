package main

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
)

// consoleOf returns an emulator that has read figures: the cost of each variant, beside no rules at 1000.
func consoleOf(t *testing.T, cost map[string]float64) *emulator {
	t.Helper()
	e := &emulator{counts: &packets{run: counting(), paths: inboundPaths, cost: map[packetKey]sample{}}}
	line := func(w path, variant string, uplinks int, f family, cost float64) {
		e.add(fmt.Sprintf(`{"Path":%q,"Variant":%q,"Uplinks":%d,"Family":%d,"Cost":[%.1f,%.1f]}`, w.name, variant, uplinks, f, cost, cost))
	}
	for _, f := range families {
		for _, w := range []path{reply, young, first} {
			line(w, nothing, mostCounted, f, 1000)
			for variant, of := range cost {
				line(w, variant, mostCounted, f, of)
			}
		}
	}
	e.add(`{"Kernel":"6.12.0"}`)
	return e
}

func TestBoundsOfInstructionsAreExactToTheHundredth(t *testing.T) {
	for over, want := range map[float64]int{1.30: 0, 1.40: 0, 1.45: 0, 1.454: 0, 1.46: 1, 1.71: 2} {
		e := consoleOf(t, map[string]float64{blog["legacy"].name: 6000, ours[native].name: 1000 * over, accelerated.name: 290})
		failed := 0
		for _, r := range e.counts.instructionRequirements() {
			if r.verdict() == broken {
				failed++
			}
		}
		if failed != want {
			t.Errorf("%.3f: %d bounds are broken, want %d", over, failed, want)
		}
	}
	if e := consoleOf(t, nil); e.kernel != "6.12.0" {
		t.Errorf("the kernel is %q", e.kernel)
	}
}

func TestAFigureThatIsMissingBreaksItsBound(t *testing.T) {
	e := consoleOf(t, map[string]float64{blog["legacy"].name: 6000, ours[native].name: 1300})
	if !(&results{requirements: e.counts.instructionRequirements()}).broken() {
		t.Error("the bounds of the accelerated reply hold without figures")
	}
}

func TestTheTableOfInstructionsHasBothFamilies(t *testing.T) {
	e := consoleOf(t, map[string]float64{blog["legacy"].name: 6000, ours[native].name: 2060, accelerated.name: 310})
	var b bytes.Buffer
	e.counts.digest("Instructions", mostCounted).print(&b)
	for _, want := range []string{"Instructions of a packet with 250 uplinks, IPv4 / IPv6, over no rules", "6.00 / 6.00", "2.06 / 2.06", "0.31 / 0.31"} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("no %q in\n%s", want, &b)
		}
	}
}

// What an interrupt adds to a round, be it to what is subtracted from all, changes no figure.
func TestDisturbedRoundChangesNoFigure(t *testing.T) {
	for i, rounds := range []int{counting().rounds, counting().rounds, counting().freshRounds(), counting().freshRounds()} {
		disturbed := i % 2
		p := &packets{run: counting(), paths: inboundPaths, gateways: []*gateway{{variant: counted, uplinks: 2}, {variant: bare, uplinks: 2}}, cost: map[packetKey]sample{}}
		measured := map[string]int{}
		p.rounds(4, []path{first}, rounds, func(g *gateway, _ family, _ path) time.Duration {
			took := map[string]time.Duration{alone: 2000, nothing: 7000}[g.variant.name]
			if measured[g.variant.name]++; measured[g.variant.name] == 1 && g == p.gateways[disturbed] {
				took += 3000
			}
			return took
		})
		if got := p.work(first.name, nothing, 2, 4).median(); got != 5000 {
			t.Errorf("%d rounds: a packet costs %.0f, want 5000, with a disturbed round of %s", rounds, got, p.gateways[disturbed].variant.name)
		}
	}
}

func TestOutboundHasBoundsOfItsOwn(t *testing.T) {
	for over, want := range map[float64]int{1.02: 0, 1.034: 0, 1.04: 18} {
		e := &emulator{counts: &packets{run: counting().forOutbound(), paths: outboundPaths, cost: map[packetKey]sample{}}}
		for _, f := range families {
			for _, w := range outboundPaths.all() {
				for _, v := range e.counts.run.variants {
					cost := 1000.0
					if slices.ContainsFunc(ourBackends, func(b string) bool { return withOut[b].name == v.name }) {
						cost *= over
					}
					e.add(fmt.Sprintf(`{"Path":%q,"Variant":%q,"Uplinks":%d,"Family":%d,"Cost":[%.1f]}`, w.name, v.name, mostCounted, f, cost))
				}
			}
		}
		requirements := exact(e.counts.outboundRequirements())
		if len(requirements) != 24 {
			t.Errorf("%d bounds, want those of three paths and of an established packet, in each backend and family", len(requirements))
		}
		failed := slices.DeleteFunc(requirements, func(r requirement) bool { return r.verdict() != broken })
		if len(failed) != want {
			t.Errorf("%.3f: %d bounds are broken, want %d", over, len(failed), want)
		}
	}
}
