package health

import "time"

// Proof is the evidence that replies leave by the uplink of their connection, for one Path. Package proof makes it.
type Proof struct {
	Routes  ProofCheck  `json:"asked"` // route lookups (RTM_GETROUTE) of a request and of its reply
	Replies ReplyCounts `json:"seen"`  // first replies of real connections
	Trace   ProofCheck  `json:"shown"` // an injected request whose reply was captured
	At      time.Time   `json:"at"`    // of the newest check
}

// Result is the result of a check.
type Result string

// The results.
const (
	Yes     Result = "yes"
	No      Result = "no"
	Unknown Result = "unknown" // the check was not possible or inconclusive
)

// ProofCheck is the result of one kind of check, with the cause unless it is Yes.
type ProofCheck struct {
	Result Result `json:"result"`
	Cause  Cause  `json:"cause,omitempty"`
	Detail string `json:"why,omitempty"`
	Remedy string `json:"remedy,omitempty"`
}

// Cause identifies, for programs, why a reply path is broken or a check is inconclusive.
type Cause string

// The causes.
const (
	MarkNotSaved     Cause = "mark-not-saved"    // the connection did not get the uplink's mark
	MarkNotRestored  Cause = "mark-not-restored" // the reply did not get its connection's mark
	RuleMissing      Cause = "rule-missing"      // no rule looks up the uplink's table
	RuleShadowed     Cause = "rule-shadowed"     // a rule of higher precedence matches first
	RouteMissing     Cause = "route-missing"     // the uplink's table has no matching route
	SourceCheck      Cause = "source-check"      // rp_filter drops the request
	FirewallDropped  Cause = "firewall"          // inconclusive: the firewall dropped the request or its reply
	WildcardUDP      Cause = "wildcard-udp"      // a UDP server replies from another address
	NoAnswer         Cause = "no-answer"         // inconclusive: the host did not reply
	TraceUnavailable Cause = "not-shown"         // the kernel lacks a feature, or the process a capability
	OtherCause       Cause = "other"
)

// Result returns the result of both checks together, and the reason when it is No. One Yes is enough, one No outweighs it,
// and Unknown outweighs nothing.
func (p Proof) Result() (result Result, reason string) {
	switch {
	case p.Routes.Result == No:
		return No, "route lookup: " + p.Routes.reason()
	case p.Trace.Result == No:
		return No, "traced reply: " + p.Trace.reason()
	case p.Routes.Result == Yes || p.Trace.Result == Yes:
		return Yes, ""
	}
	return Unknown, ""
}

func (c ProofCheck) reason() string {
	if c.Detail != "" {
		return c.Detail
	}
	return string(c.Cause)
}

// WithUnknown returns the proof with Unknown for each check that was not made.
func (p Proof) WithUnknown() Proof {
	for _, c := range []*ProofCheck{&p.Routes, &p.Trace} {
		if c.Result == "" {
			c.Result = Unknown
		}
	}
	return p
}
