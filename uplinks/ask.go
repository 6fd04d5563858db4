package uplinks

import (
	"net/netip"

	"replypath/marks"
)

// Question asks the kernel which way a packet would go.
type Question struct {
	From, To netip.Addr
	Mark     marks.Mark
	In       int // the index of the link that it comes in on; 0: it is the host's own
}

// Decision is where the kernel would send a packet.
type Decision struct {
	Local   bool // to the host itself
	Link    int  // the index of the link that it would leave by
	Gateway netip.Addr
	Table   Table
	Err     error // why it would go nowhere
}
