package health

import "replypath/uplinks"

// UDPStatus is the state of the programs of [udp].
type UDPStatus struct {
	Answer  string `json:"answer"` // "asked"
	InForce bool   `json:"in_force"`
	Why     string `json:"why,omitempty"` // they are not in force
}

// NewUDPStatus returns the state, nil if the settings have no programs.
func NewUDPStatus(s uplinks.Settings, f uplinks.Facts) *UDPStatus {
	if s.WantedUDPPrograms() == nil {
		return nil
	}
	return &UDPStatus{Answer: "asked", InForce: f.UDPRefused == "", Why: f.UDPRefused}
}

// Text returns the state as a sentence without a full stop.
func (u UDPStatus) Text() string {
	if u.InForce {
		return "servers on the wildcard address are helped: they reply from the address that was asked"
	}
	return "servers on the wildcard address are not helped: " + u.Why
}
