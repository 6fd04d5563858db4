package main

import (
	"cmp"
	"slices"
	"time"
)

// run is how much is measured.
type run struct {
	began    time.Time
	uplinks  []int
	some     []int // of the numbers of uplinks, for what takes longer
	variants []variant
	// intercepting are measured with the fewest uplinks.
	intercepting []variant
	// outbound are measured with connections that begin inside.
	outbound        []variant
	outboundUplinks []int
	found           []variant // with routers that were found

	focused bool     // on some of the packets
	paths   []string // that packets are measured on; nil: all, and real sockets
	rounds  int
	fresh   int // rounds of the paths that begin without connections; 0: as many
	copies  int // of each gateway that bounds speak of
	packets int // that are injected at a time
	slowest int // number of uplinks with which what is slow to set up is measured; 0: with all

	backends   []string // for changes
	changed    []int    // numbers of uplinks for them
	changes    int      // rounds of them
	shorewalls []string // backends of the Shorewalls that are changed

	harms         int           // rounds of harm to an uplink
	resting       []int         // numbers of uplinks at rest
	probeInterval time.Duration // at a service at rest, each time
	looks         int

	routes, rules, flows int // of others, for scaling
}

func full() run {
	return run{
		began:   time.Now(),
		uplinks: []int{2, 8, 31, 250}, some: []int{2, 250}, rounds: 7, copies: 3, packets: 2000,
		variants:     []variant{bare, oneRule, blog["legacy"], blog["nft"], shore["legacy"], shore["nft"], ours["legacy"], ours["nft"], ours[native]},
		intercepting: []variant{intercepting["legacy"], intercepting["nft"], intercepting[native]},
		outbound: slices.Concat([]variant{natAlone}, each(mwan3, backends...), each(shoreByMain, backends...), each(withoutOut, ourBackends...),
			each(withOut, ourBackends...)), outboundUplinks: []int{2, 31},
		backends: backends, changed: []int{2, 31, 250}, changes: 4, shorewalls: backends,
		found: foundVariants(),
		harms: 3, resting: []int{31, 250}, probeInterval: 5 * time.Second, looks: 5,
		routes: 10_000, rules: 5_000, flows: 1_000_000,
	}
}

func brief() run {
	return run{
		began:   time.Now(),
		uplinks: []int{2, 250}, some: []int{250}, rounds: 5, copies: 1, packets: 1500,
		variants:        []variant{bare, oneRule, blog["legacy"], blog["nft"], ours["legacy"], ours["nft"], ours[native]},
		intercepting:    []variant{intercepting["legacy"], intercepting["nft"], intercepting[native]},
		outbound:        slices.Concat([]variant{natAlone}, each(mwan3, "nft"), each(withoutOut, "nft", native), each(withOut, "nft", native)),
		outboundUplinks: []int{31},
		backends:        backends[1:], changed: []int{2, 250}, changes: 2,
		found: foundVariants(),
		harms: 1, resting: []int{31}, probeInterval: time.Second, looks: 3,
		routes: 10_000, rules: 5_000, flows: 100_000,
	}
}

// freshRounds returns the rounds of the paths that begin without connections.
func (r run) freshRounds() int { return cmp.Or(r.fresh, r.rounds) }

func (r run) since() time.Duration { return time.Since(r.began) }

// extremes returns the fewest and the most uplinks.
func (r run) extremes() (least, most int) { return slices.Min(r.uplinks), slices.Max(r.uplinks) }

// each returns the variants of those backends.
func each(of map[string]variant, backends ...string) (all []variant) {
	for _, b := range backends {
		all = append(all, of[b])
	}
	return all
}
