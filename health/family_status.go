package health

import (
	"time"

	"replypath/uplinks"
)

// State is how an uplink stands in a family.
type State string

// The states, worst first.
const (
	Absent   State = "absent"   // no such link, or nothing to go by: no address or no gateway
	Down     State = "down"     // IFF_DOWN, no carrier, or nobody answers
	Unproven State = "unproven" // up, but its reply path is not shown to be right
	Up       State = "up"
)

// FamilyStatus is how an uplink stands in one family.
type FamilyStatus struct {
	Family          uplinks.Family `json:"family"`
	State           State          `json:"state"`
	Reason          string         `json:"reason"` // in words; empty when up
	Since           time.Time      `json:"since"`
	Degraded        string         `json:"degraded,omitempty"` // why, in words
	Source          string         `json:"source,omitempty"`
	Gateway         string         `json:"gateway,omitempty"`
	StateChanges    int            `json:"state_changes"`
	Flaps           int            `json:"flaps"`
	HoldDownSeconds float64        `json:"hold_down_seconds,omitempty"` // how long it must still answer before it is up
	Probes          []ProbeStatus  `json:"probes"`
	Proof           Proof          `json:"proof"`
	History         []MinuteStats  `json:"history"` // the last hour, oldest first
}

// ProbeStatus is how a probe has fared.
type ProbeStatus struct {
	Name           string  `json:"name"`
	Target         string  `json:"target"`
	Up             bool    `json:"up"`
	BadTarget      bool    `json:"bad_target"` // nobody is answered by it on any uplink
	Error          string  `json:"error,omitempty"`
	Sent           uint64  `json:"sent"`
	Lost           uint64  `json:"lost"`
	RTTSeconds     float64 `json:"rtt_seconds"`      // of the last answer
	MeanRTTSeconds float64 `json:"rtt_mean_seconds"` // of the last WindowSize questions
	LossPercent    float64 `json:"loss_percent"`     // of the last WindowSize questions
}

// MinuteStats is what the probes of a family saw in one minute.
type MinuteStats struct {
	At             time.Time `json:"at"`
	Sent           int       `json:"sent"`
	Lost           int       `json:"lost"`
	MeanRTTSeconds float64   `json:"rtt_mean_seconds"`
	MaxRTTSeconds  float64   `json:"rtt_max_seconds"`
}

// Proof is what is known of a family's reply path.
type Proof struct {
	Routes  ProofCheck  `json:"asked"` // the kernel's route decision in both directions
	Replies ReplyCounts `json:"seen"`  // replies of real connections
	Trace   ProofCheck  `json:"shown"` // synthetic questions
	At      time.Time   `json:"at"`    // of the last time that it was asked and shown
}

// Result is what a check says.
type Result string

// The results.
const (
	Yes     Result = "yes"
	No      Result = "no"
	Unknown Result = "unknown" // it could not be found out
)

// ProofCheck is the result of one way to prove, with the cause when it is not Yes.
type ProofCheck struct {
	Result Result `json:"result"`
	Cause  Cause  `json:"cause,omitempty"`
	Detail string `json:"why,omitempty"`
	Remedy string `json:"remedy,omitempty"`
}

// Cause says, for programs, why a reply path is not right.
type Cause string

// The causes.
const (
	MarkNotSaved     Cause = "mark-not-saved"    // the connection did not get the uplink's mark
	MarkNotRestored  Cause = "mark-not-restored" // the reply did not get its connection's mark
	RuleMissing      Cause = "rule-missing"      // no rule leads to the uplink's table
	RuleShadowed     Cause = "rule-shadowed"     // a rule before it wins
	RouteMissing     Cause = "route-missing"     // the uplink's table leads nowhere
	SourceCheck      Cause = "source-check"      // rp_filter drops the question
	FirewallDropped  Cause = "firewall"          // the firewall drops it: inconclusive
	WildcardUDP      Cause = "wildcard-udp"      // a UDP server answers from another address
	NoAnswer         Cause = "no-answer"         // nobody answers: inconclusive
	TraceUnavailable Cause = "not-shown"         // the kernel or a missing capability does not allow it
	OtherCause       Cause = "other"
)

// ReplyCounts counts first replies of real connections, since the counters began.
type ReplyCounts struct {
	Symmetric uint64 `json:"symmetric"`
	Stray     uint64 `json:"stray"`
}
