package health

import "time"

// OutboundMove is how the connections of an uplink were moved.
type OutboundMove struct {
	At           time.Time `json:"at"`
	Reason       string    `json:"reason"`       // for people
	Connections  int       `json:"connections"`  // without those of the second sweep
	Sockets      int       `json:"sockets"`      // of the host's own programs, which were ended
	SecondSweep  int       `json:"second_sweep"` // connections that had begun meanwhile
	Milliseconds float64   `json:"milliseconds"` // of the first sweep
}
