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
	Sync
	Reload  *Reloaded      `json:"reload,omitempty"`
	Uplinks []UplinkStatus `json:"uplinks"`
	Events  []Event        `json:"events"` // the last 200, oldest first
}

// Sync is how the kernel stands.
type Sync struct {
	InSync  bool           `json:"in_sync"`
	Since   time.Time      `json:"since"` // of in_sync
	Error   string         `json:"error,omitempty"`
	Last    time.Time      `json:"last_round"`
	Waiting int            `json:"repairs_waiting"` // somebody undoes them again and again
	Changes int            `json:"changes"`
	Rounds  int            `json:"rounds"`
	Repairs map[string]int `json:"repairs"` // by the kind of step
	Drift   int            `json:"drift"`   // steps that were missing at the last look
}

// Reloaded is how the last reload ended.
type Reloaded struct {
	At    time.Time `json:"at"`
	Error string    `json:"error,omitempty"`
}

// UplinkStatus is how an uplink stands.
type UplinkStatus struct {
	Name      string     `json:"name"`
	ID        int        `json:"id"`
	Interface string     `json:"interface"`
	State     State      `json:"state"` // the worst of its families, but for one that was only to be learnt and has never been there
	Families  []Standing `json:"families"`
}

// Whole is the same with an empty list or map for each one that is absent, as programs read it most easily.
func (s Status) Whole() Status {
	s.Problems, s.Events = list(s.Problems), list(s.Events)
	if s.Repairs == nil {
		s.Repairs = map[string]int{}
	}
	s.Uplinks = slices.Clone(list(s.Uplinks))
	for i, u := range s.Uplinks {
		s.Uplinks[i] = u.Whole()
	}
	return s
}

// Whole is like Status.Whole.
func (u UplinkStatus) Whole() UplinkStatus {
	u.Families = slices.Clone(list(u.Families))
	for i, f := range u.Families {
		u.Families[i].Probes, u.Families[i].History = list(f.Probes), list(f.History)
	}
	return u
}

func list[T any](all []T) []T {
	if all == nil {
		return []T{}
	}
	return all
}
