package proof

import "net/netip"

// Point is a place on a packet's walk through the kernel.
type Point uint8

// The points, in the order of a walk: of a question up to Bounced, of its answer from Returned on.
const (
	Arrived   Point = iota + 1 // before everything, at the very start of PREROUTING
	Marked                     // behind mangle in PREROUTING: our chains have been passed
	Inbound                    // at the start of INPUT: routing and source check let it in
	Accepted                   // at the end of INPUT: the firewall lets it in
	Forward                    // at the start of FORWARD: routing sends it on
	Forwarded                  // at the end of FORWARD
	Bounced                    // on its way out by an uplink, where no question belongs
	Returned                   // an answer from elsewhere, behind mangle in PREROUTING
	Answered                   // an answer of the host's own, at the start of OUTPUT
	Sent                       // at the end of OUTPUT
	Left                       // in POSTROUTING
)

// Sighting is a packet that was seen at a point: a question of that asker, or an answer to it.
type Sighting struct {
	At     Point
	Asker  netip.Addr
	Number uint16 // the asker's port, or the identifier of an echo
	Mark   uint32 // all of the packet's mark
	Ctmark uint32 // all of its connection's; 0 when it belongs to none
}

// Departure is an answer that was on its way out.
type Departure struct {
	Asker   netip.Addr
	Number  uint16
	From    netip.Addr // the answer's source
	Link    int        // the index of the link that it would have left by
	Replies bool       // it is of its connection's reply direction
}

// Sights are all that was seen.
type Sights struct {
	Sightings  []Sighting
	Departures []Departure
}
