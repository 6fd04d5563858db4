package proof

import (
	"net/netip"

	"replypath/marks"
)

// walk is how far a question and its answer came.
type walk struct {
	at   map[Point][]Sighting
	left []Departure
}

// walks are all that was seen, by who asked and under which number.
func (s Sights) walks() map[netip.AddrPort]walk {
	all := map[netip.AddrPort]walk{}
	find := func(asker netip.Addr, number uint16) (netip.AddrPort, walk) {
		key := netip.AddrPortFrom(asker, number)
		w, ok := all[key]
		if !ok {
			w.at = map[Point][]Sighting{}
		}
		return key, w
	}
	for _, x := range s.Sightings {
		key, w := find(x.Asker, x.Number)
		w.at[x.At] = append(w.at[x.At], x)
		all[key] = w
	}
	for _, d := range s.Departures {
		key, w := find(d.Asker, d.Number)
		w.left = append(w.left, d)
		all[key] = w
	}
	return all
}

// PassedOn reports whether the question was passed on to another host.
func (s Sights) PassedOn(q Question) bool {
	for _, x := range s.Sightings {
		if x.At == Forwarded && x.Asker == q.From.Addr() && x.Number == q.From.Port() {
			return true
		}
	}
	return false
}

// was reports whether anything of it was seen there.
func (w walk) was(p Point) bool { return len(w.at[p]) > 0 }

// saved reports whether the connection had the mark there.
func (w walk) saved(p Point, mark marks.Mark, mask marks.Mask) bool {
	for _, x := range w.at[p] {
		if x.Ctmark&uint32(mask) == uint32(mark) {
			return true
		}
	}
	return false
}

// restored reports whether each packet there whose connection had the mark wore it too.
func (w walk) restored(p Point, mark marks.Mark, mask marks.Mask) bool {
	for _, x := range w.at[p] {
		if x.Ctmark&uint32(mask) == uint32(mark) && x.Mark&uint32(mask) != uint32(mark) {
			return false
		}
	}
	return true
}
