package health

import "time"

// EventVersion is the version of the Event document. It grows when a field is removed or changes its meaning.
const EventVersion = 1

// Event is a change that is logged, shown by the endpoint and given to the programs of on_change.
type Event struct {
	Version   int       `json:"version"`
	ID        uint64    `json:"id"` // consecutive since the service started
	At        time.Time `json:"at"`
	Kind      string    `json:"kind"` // state, proof, reload, repair, sync, target, proxy, outbound, policy, peer
	Uplink    string    `json:"uplink,omitempty"`
	Interface string    `json:"interface,omitempty"` // of states and proofs: of the uplink, as the status has it
	Family    string    `json:"family,omitempty"`
	Policy    string    `json:"policy,omitempty"` // for outbound connections
	From      string    `json:"from,omitempty"`
	To        string    `json:"to,omitempty"`
	Text      string    `json:"text"` // one line, for people
}
