package health

import "time"

// Event is something that changed, for the log, the page and the programs of on_change.
type Event struct {
	Version int       `json:"version"`
	ID      uint64    `json:"id"` // counts up by one for each event since the service started
	At      time.Time `json:"at"`
	Kind    string    `json:"kind"` // state, proof, reload, repair, sync, target
	Uplink  string    `json:"uplink,omitempty"`
	Family  string    `json:"family,omitempty"`
	From    string    `json:"from,omitempty"`
	To      string    `json:"to,omitempty"`
	Text    string    `json:"text"` // one line for people
}
