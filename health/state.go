package health

import "slices"

// State is the health of a Path or of an uplink.
type State string

// The states, worst first.
const (
	Absent   State = "absent"   // the link, its address or its gateway is missing
	Down     State = "down"     // IFF_UP or the carrier is missing, or too few probes are answered
	Unproven State = "unproven" // probes are answered, but the reply path is broken
	Standby  State = "standby"  // the link is fit, and the other node of a pair has its addresses
	Up       State = "up"
)

// Usable reports whether traffic passes in this state.
func (s State) Usable() bool { return s == Up || s == Unproven }

// Well reports whether the state is as it should be: a standby node waits for its turn.
func (s State) Well() bool { return s == Up || s == Standby }

// WorseThan compares states in the order above.
func (s State) WorseThan(o State) bool {
	order := []State{Absent, Down, Unproven, Standby, Up}
	return slices.Index(order, s) < slices.Index(order, o)
}
