package health

import (
	"slices"
	"time"

	"replypath/uplinks"
)

// StatusVersion is the version of the Status document. It grows when a field is removed or changes its meaning.
const StatusVersion = 2

// Status is the document at /status and of "replypath status --json".
type Status struct {
	Version  int       `json:"version"`
	At       time.Time `json:"at"`
	Started  time.Time `json:"started"`
	Build    string    `json:"build"`
	Healthy  bool      `json:"healthy"` // of the service, whatever the state of the uplinks
	Ready    bool      `json:"ready"`   // the configuration has been applied once
	Problems []string  `json:"problems"`
	SyncStatus
	Configuration *ConfigurationStatus `json:"configuration,omitempty"` // absent while the service starts
	Reload        *ReloadStatus        `json:"reload,omitempty"`
	Uplinks       []UplinkStatus       `json:"uplinks"`
	// Fingerprint is what the nodes of a pair must have in common; nil while the service starts.
	Fingerprint *Fingerprint `json:"fingerprint,omitempty"`
	Peer        *PeerStatus  `json:"peer,omitempty"` // nil: none is configured
	// Mismarked has the connections to an address of one uplink that have the mark of another.
	Mismarked    []uplinks.MismarkedConnections `json:"mismarked"`
	Outbound     *OutboundStatus                `json:"outbound,omitempty"` // nil: none is configured
	Conntrack    ConntrackStatus                `json:"conntrack"`
	UDP          *UDPStatus                     `json:"udp,omitempty"`          // of [udp]; not configured: absent
	Acceleration *AccelerationStatus            `json:"acceleration,omitempty"` // of accelerate; not configured: absent
	Proxies      []ProxyStatus                  `json:"proxies,omitempty"`      // of all intercepts; none: absent
	Events       []Event                        `json:"events"`                 // the last EventLogSize, oldest first
}

// SyncStatus says how far the kernel is as configured.
type SyncStatus struct {
	InSync         bool           `json:"in_sync"`
	Since          time.Time      `json:"since"` // of in_sync
	Error          string         `json:"error,omitempty"`
	LastRound      time.Time      `json:"last_round"`
	RepairsWaiting int            `json:"repairs_waiting"` // deferred by the back-off, as another program undoes them
	Changes        int            `json:"changes"`
	Rounds         int            `json:"rounds"`
	Repairs        map[string]int `json:"repairs"` // by the kind of step
	Drift          int            `json:"drift"`   // steps that the last round found missing
}

// ReloadStatus is the result of the last reload.
type ReloadStatus struct {
	At    time.Time `json:"at"`
	Error string    `json:"error,omitempty"`
}

// ConntrackStatus says how full the kernel's table of connections is. The limit is 0 where there is none.
type ConntrackStatus struct {
	Entries uint64 `json:"entries"`
	Limit   uint64 `json:"limit"`
}

// PeerStatus is the result of the last comparison with the other node of a pair.
type PeerStatus struct {
	URL         string    `json:"url"`
	At          time.Time `json:"at"`              // of the last comparison; zero: there was none yet
	Error       string    `json:"error,omitempty"` // why its fingerprint cannot be read
	Fingerprint string    `json:"fingerprint,omitempty"`
	Differences []string  `json:"differences"` // of the last fingerprint that was read, for people
}

// UplinkStatus is the health of one uplink.
type UplinkStatus struct {
	Name      string `json:"name"`
	ID        int    `json:"id"`
	Interface string `json:"interface"`
	// Configured is the alternative name or the pattern that is configured, if interface is a link that it has found.
	Configured string         `json:"configured_interface,omitempty"`
	State      State          `json:"state"` // the worst of its families; one with an automatic gateway counts once it has been there
	Families   []FamilyStatus `json:"families"`
	// Routers are the hardware addresses by which the uplink is distinguished from others on its interface.
	Routers []string `json:"routers,omitempty"`
	// RouterActivity has each of Routers of an uplink with several.
	RouterActivity []RouterActivity `json:"router_activity,omitempty"`
	// FoundRouters are the routers on its interface that were found by their packets (routers = "any").
	FoundRouters []FoundRouter `json:"found_routers,omitempty"`
}

// FoundRouter is a router that no configuration names.
type FoundRouter struct {
	MAC         string    `json:"mac"`
	ID          int       `json:"id"`
	Since       time.Time `json:"since"`       // found, or remembered at the start
	Connections int       `json:"connections"` // at the last count, every 10 seconds
}

// FamilyStatus is the health of one Path.
type FamilyStatus struct {
	Family          uplinks.Family `json:"family"`
	State           State          `json:"state"`
	Reason          string         `json:"reason"`             // for people; empty when up
	LeftOut         string         `json:"left_out,omitempty"` // why it is not applied although it is configured, for people
	Since           time.Time      `json:"since"`
	Degraded        string         `json:"degraded,omitempty"` // for people
	VIP             VIPPlace       `json:"vip,omitempty"`
	Source          string         `json:"source,omitempty"`
	Gateway         string         `json:"gateway,omitempty"`
	StateChanges    int            `json:"state_changes"`
	Flaps           int            `json:"flaps"`
	HoldDownSeconds float64        `json:"hold_down_seconds,omitempty"` // for which probes must be answered before it is up again
	Probes          []ProbeStatus  `json:"probes"`
	Proof           Proof          `json:"proof"`
	Verdict         ProofCheck     `json:"verdict"` // of the proof
	History         []MinuteStats  `json:"history"` // of the last hour, oldest first
}

// ProbeStatus is the state of one probe of a path.
type ProbeStatus struct {
	Name           string  `json:"name"`
	Target         string  `json:"target"`
	Up             bool    `json:"up"`
	BadTarget      bool    `json:"bad_target"` // it answers on no uplink, and so says nothing about this one
	Error          string  `json:"error,omitempty"`
	Sent           uint64  `json:"sent"`
	Lost           uint64  `json:"lost"`
	RTTSeconds     float64 `json:"rtt_seconds"`      // of the last answer
	MeanRTTSeconds float64 `json:"rtt_mean_seconds"` // over the last WindowSize probes
	LossPercent    float64 `json:"loss_percent"`     // over the last WindowSize probes
}

// MinuteStats counts the probes of a path in one minute.
type MinuteStats struct {
	At             time.Time `json:"at"`
	Sent           int       `json:"sent"`
	Lost           int       `json:"lost"`
	MeanRTTSeconds float64   `json:"rtt_mean_seconds"`
	MaxRTTSeconds  float64   `json:"rtt_max_seconds"`
}

// WithoutNulls returns a copy with an empty list or map in place of each nil one, so that JSON has no null.
func (s Status) WithoutNulls() Status {
	s.Problems, s.Events, s.Mismarked = nonNil(s.Problems), nonNil(s.Events), nonNil(s.Mismarked)
	if s.Repairs == nil {
		s.Repairs = map[string]int{}
	}
	s.Outbound = s.Outbound.withoutNulls()
	s.Uplinks = slices.Clone(nonNil(s.Uplinks))
	for i, u := range s.Uplinks {
		s.Uplinks[i] = u.WithoutNulls()
	}
	if s.Peer != nil {
		peer := *s.Peer
		peer.Differences = nonNil(peer.Differences)
		s.Peer = &peer
	}
	return s
}

// Of returns the status of one uplink, without events and histories. If there is no such uplink, it has the names of all.
func (s Status) Of(uplink string) Status {
	s.Events = []Event{}
	all := s.Uplinks
	s.Uplinks = []UplinkStatus{}
	for _, u := range all {
		if u.Name == uplink {
			u = u.WithoutNulls()
			for i := range u.Families {
				u.Families[i].History = []MinuteStats{}
			}
			s.Uplinks = []UplinkStatus{u}
			return s
		}
		s.Uplinks = append(s.Uplinks, UplinkStatus{Name: u.Name, Families: []FamilyStatus{}})
	}
	return s
}

// WithoutNulls returns a copy like Status.WithoutNulls.
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
