package health

import (
	"slices"
	"time"
)

// StatusVersion is the version of the Status document. It grows when a field goes or changes its meaning.
const StatusVersion = 2

// Status is all that is known, as /status and "replypath status --json" give it.
type Status struct {
	Version  int       `json:"version"`
	At       time.Time `json:"at"`
	Started  time.Time `json:"started"`
	Build    string    `json:"build"`
	Healthy  bool      `json:"healthy"` // the service does its work, whatever the uplinks do
	Ready    bool      `json:"ready"`   // the configuration has been applied once
	Problems []string  `json:"problems"`
	SyncStatus
	Reload  *ReloadStatus  `json:"reload,omitempty"`
	Uplinks []UplinkStatus `json:"uplinks"`
	Events  []Event        `json:"events"` // the last 200, oldest first
}

// SyncStatus is how the kernel stands.
type SyncStatus struct {
	InSync         bool           `json:"in_sync"`
	Since          time.Time      `json:"since"` // of in_sync
	Error          string         `json:"error,omitempty"`
	LastRound      time.Time      `json:"last_round"`
	RepairsWaiting int            `json:"repairs_waiting"` // somebody undoes them again and again
	Changes        int            `json:"changes"`
	Rounds         int            `json:"rounds"`
	Repairs        map[string]int `json:"repairs"` // by the kind of step
	Drift          int            `json:"drift"`   // steps that were missing at the last look
}

// ReloadStatus is how the last reload ended.
type ReloadStatus struct {
	At    time.Time `json:"at"`
	Error string    `json:"error,omitempty"`
}

// UplinkStatus is how an uplink stands.
type UplinkStatus struct {
	Name      string         `json:"name"`
	ID        int            `json:"id"`
	Interface string         `json:"interface"`
	State     State          `json:"state"` // the worst of its families, but for one that was only to be learnt and has never been there
	Families  []FamilyStatus `json:"families"`
}

// WithoutNulls is the same with an empty list or map for each one that is absent, as programs read it most easily.
func (s Status) WithoutNulls() Status {
	s.Problems, s.Events = nonNil(s.Problems), nonNil(s.Events)
	if s.Repairs == nil {
		s.Repairs = map[string]int{}
	}
	s.Uplinks = slices.Clone(nonNil(s.Uplinks))
	for i, u := range s.Uplinks {
		s.Uplinks[i] = u.WithoutNulls()
	}
	return s
}

// WithoutNulls is like Status.Whole.
func (u UplinkStatus) WithoutNulls() UplinkStatus {
	u.Families = slices.Clone(nonNil(u.Families))
	for i, f := range u.Families {
		u.Families[i].Probes, u.Families[i].History = nonNil(f.Probes), nonNil(f.History)
	}
	return u
}

func nonNil[T any](all []T) []T {
	if all == nil {
		return []T{}
	}
	return all
}
