package main

import (
	"flag"
	"slices"
	"strconv"
	"strings"
)

// focus is what of a run's packets is measured when it is not all: for a closer look at one of its figures. Bounds of
// what is left out are not checked.
type focus struct {
	paths, rules, uplinks string
	only                  int    // the family, or 0
	rounds, copies        int    // or 0
	beside                string // another replypath to measure
}

func (f *focus) flags() {
	flag.StringVar(&f.paths, "paths", "", "measure packets only on these `PATHS`: "+strings.Join(pathNames(), ","))
	flag.StringVar(&f.rules, "rules", "", "measure packets only with these `RULES`, as the tables name them, with ; between them")
	flag.StringVar(&f.uplinks, "uplinks", "", "measure packets only with these `NUMBERS` of uplinks")
	flag.IntVar(&f.only, "family", 0, "measure packets only of this `FAMILY`: 4 or 6")
	flag.IntVar(&f.rounds, "rounds", 0, "measure packets in this many `ROUNDS`")
	flag.IntVar(&f.copies, "copies", 0, "build each gateway this many `TIMES`")
	flag.StringVar(&f.beside, "beside", "", "measure another replypath `PROGRAM` too, as \""+otherName+"\"")
}

// on returns the run that is left.
func (f *focus) on(r run) run {
	r.focused = *f != focus{}
	if f.beside != "" {
		measuredToo = find(f.beside)
		r.variants = append(r.variants, others["legacy"], others["nft"], others[native])
	}
	if f.rules != "" {
		named := strings.Split(f.rules, ";")
		for _, name := range named {
			if !slices.ContainsFunc(slices.Concat(r.variants, r.intercepting, r.outbound, r.found), func(v variant) bool { return v.name == name }) {
				fatal("-rules %q: there are no such ones", name)
			}
		}
		unnamed := func(v variant) bool {
			return v.name != nothing && v.name != nothingOutbound && !slices.Contains(named, v.name)
		}
		r.variants = slices.DeleteFunc(slices.Clone(r.variants), unnamed)
		r.intercepting = slices.DeleteFunc(slices.Clone(r.intercepting), unnamed)
		r.outbound = slices.DeleteFunc(slices.Clone(r.outbound), unnamed)
		r.found = slices.DeleteFunc(slices.Clone(r.found), unnamed)
	}
	if f.uplinks != "" {
		r.uplinks = nil
		for _, n := range strings.Split(f.uplinks, ",") {
			number, err := strconv.Atoi(n)
			must(err, "-uplinks %s", f.uplinks)
			if number < 1 || number > 250 {
				fatal("-uplinks %s: they are 1 to 250", f.uplinks)
			}
			r.uplinks = append(r.uplinks, number)
		}
		r.outboundUplinks = r.uplinks
	}
	if f.paths != "" {
		r.paths = strings.Split(f.paths, ",")
		for _, name := range r.paths {
			if !slices.Contains(pathNames(), name) {
				fatal("-paths %s: there are %s", name, strings.Join(pathNames(), ", "))
			}
		}
	}
	if f.only != 0 {
		if !slices.Contains(families, family(f.only)) {
			fatal("-family %d: it is 4 or 6", f.only)
		}
		families = []family{family(f.only)}
	}
	if f.copies != 0 {
		r.copies = f.copies
	}
	if f.rounds != 0 {
		r.rounds, r.fresh = f.rounds, f.rounds
	}
	return r
}

// measures reports whether the path is selected.
func (r run) measures(w path) bool { return r.paths == nil || slices.Contains(r.paths, w.name) }

// measured returns the selected paths.
func (p *packets) measured() []path {
	return slices.DeleteFunc(p.paths.all(), func(w path) bool { return !p.run.measures(w) })
}

func pathNames() (names []string) {
	for _, w := range append(inboundPaths.all(), outboundPaths.all()...) {
		if !slices.Contains(names, w.name) {
			names = append(names, w.name)
		}
	}
	return names
}
