package health

import (
	"slices"
	"time"
)

// Proof is the evidence that replies leave by the uplink of their connection, for one Path. Package proof makes it.
type Proof struct {
	Routes  ProofCheck  `json:"asked"`  // route lookups (RTM_GETROUTE) of a request and of its reply
	Replies ReplyCounts `json:"seen"`   // first replies of real connections
	Trace   ProofCheck  `json:"shown"`  // an injected request whose reply was captured
	Strays  ProofCheck  `json:"strays"` // whether replies of real connections have strayed since the last proof
	At      time.Time   `json:"at"`     // of the newest check
}

// Result is the result of a check.
type Result string

// The results.
const (
	Yes     Result = "yes"
	No      Result = "no"
	Unknown Result = "unknown" // the check was not possible or inconclusive
)

// ProofCheck is the result of one kind of check, with the cause unless it is Yes. A Yes with a cause is a warning: the replies
// are right, though something on their way is not.
type ProofCheck struct {
	Result Result `json:"result"`
	Scope  Scope  `json:"scope,omitempty"`
	Cause  Cause  `json:"cause,omitempty"`
	Detail string `json:"why,omitempty"`
	Remedy string `json:"remedy,omitempty"`
}

// Warning reports whether the check is a Yes with a cause.
func (c ProofCheck) Warning() bool { return c.Result == Yes && c.Cause != "" }

// AsWarning returns the check as a Yes with its cause.
func (c ProofCheck) AsWarning() ProofCheck {
	c.Result = Yes
	return c
}

// Scope says which packets the failure of a route look-up is about.
type Scope string

// The scopes.
const (
	HostScope      Scope = "host"      // those of this host only
	ForwardedScope Scope = "forwarded" // those that are forwarded too
	ClientScope    Scope = "clients"   // those of clients in one network
)

// Cause identifies, for programs, why a reply path is broken or a check is inconclusive.
type Cause string

// The causes.
const (
	MarkNotSaved     Cause = "mark-not-saved"    // the connection did not get the uplink's mark
	MarkNotRestored  Cause = "mark-not-restored" // the reply did not get its connection's mark
	OutputMark       Cause = "output-mark"       // another program changed the mark of the host's reply in OUTPUT
	PreroutingMark   Cause = "prerouting-mark"   // another program changed the mark of a packet in PREROUTING
	Untracked        Cause = "notrack"           // the packet is exempt from connection tracking
	SYNProxy         Cause = "synproxy"          // the firewall completes handshakes before the server sees them
	ConntrackZone    Cause = "ct-zone"           // the reply is looked for in another zone of connection tracking
	InVRF            Cause = "vrf"               // the interface is in a VRF
	Bridged          Cause = "bridge"            // the interface is a port of a bridge
	RuleMissing      Cause = "rule-missing"      // no rule looks up the uplink's table
	RuleShadowed     Cause = "rule-shadowed"     // a rule of higher precedence matches first
	RouteMissing     Cause = "route-missing"     // the uplink's table has no matching route
	RouteShadowed    Cause = "route-shadowed"    // a route of another program in the uplink's table matches first
	SourceCheck      Cause = "source-check"      // rp_filter drops the request
	FirewallDropped  Cause = "firewall"          // inconclusive: the firewall dropped the request or its reply
	WildcardUDP      Cause = "wildcard-udp"      // a UDP server replies from another address
	WrongSource      Cause = "wrong-source"      // the reply has another source than the address that was asked
	StrayReplies     Cause = "stray"             // replies of real connections left by another interface
	ReplyDropped     Cause = "reply-dropped"     // another program drops the reply after it was routed
	ReplyRewritten   Cause = "reply-rewritten"   // another program changes its source after it was routed
	ReplyRedirected  Cause = "reply-redirected"  // another program sends it by another interface
	IPsecPolicy      Cause = "ipsec-policy"      // an IPsec policy blocks it or takes it into a tunnel
	NeighbourCause   Cause = "neighbour"         // the neighbour entry of the gateway is wrong, or cannot be resolved
	ARPOff           Cause = "arp-off"           // ARP and neighbour discovery are off on the uplink
	SameRouter       Cause = "same-router"       // the gateway of another uplink on the link is the same router
	TrafficControl   Cause = "traffic-control"   // a filter or qdisc drops, redirects or rewrites it
	NoAnswer         Cause = "no-answer"         // inconclusive: the host did not reply
	TraceUnavailable Cause = "not-shown"         // the kernel lacks a feature, or the process a capability
	OtherCause       Cause = "other"
)

// Verdict combines all checks: it is the one that verify, status, page, metrics and exit status report. What became of a
// reply outweighs what the routes say of it: a route look-up that fails for packets of this host is a warning when traced
// replies are right. Without a trace it is unknown where replies leave.
func (p Proof) Verdict() ProofCheck {
	switch {
	case p.Trace.Result == No:
		return p.Trace
	case p.Strays.Result == No:
		return p.Strays
	case p.Routes.Result == No && (p.Trace.Result != Yes || p.Routes.Scope != HostScope):
		return p.Routes
	case p.Trace.Result != Yes:
		v := p.Trace
		v.Result = Unknown
		return v
	case p.Routes.Result == Unknown && p.Routes.Scope == ClientScope:
		return p.Routes
	case p.Trace.Cause == "" && p.Routes.Cause != "" && p.Routes.Result != Unknown:
		return p.Routes.AsWarning()
	}
	return p.Trace
}

// Proven reports whether replies are known to leave by the uplink: the verdict is Yes, or it is Unknown only for some clients, or
// only because nothing can be shown here, and the kernel's routing decision is right.
func (p Proof) Proven() bool {
	v := p.Verdict()
	others := v.Result == Unknown && v.Scope == ClientScope
	return v.Result == Yes || others || v.Result == Unknown && v.Cause == TraceUnavailable && p.Routes.Result == Yes
}

// Overall returns the result for several paths by those of their verdicts: No when one is No, else Unknown when one is Unknown,
// else Yes.
func Overall(results []Result) Result {
	switch {
	case slices.Contains(results, No):
		return No
	case slices.Contains(results, Unknown):
		return Unknown
	}
	return Yes
}

// Result returns the result of the verdict, and the reason when it is No.
func (p Proof) Result() (result Result, reason string) {
	v := p.Verdict()
	if v.Result != No {
		return v.Result, ""
	}
	return No, p.evidence() + v.reason()
}

// evidence returns what a No is found by, for the beginning of a reason.
func (p Proof) evidence() string {
	switch {
	case p.Trace.Result == No:
		return "traced reply: "
	case p.Strays.Result == No:
		return ""
	}
	return "route lookup: "
}

func (c ProofCheck) reason() string {
	if c.Detail != "" {
		return c.Detail
	}
	return string(c.Cause)
}

// WithUnknown returns the proof with Unknown for each check that was not made.
func (p Proof) WithUnknown() Proof {
	for _, c := range []*ProofCheck{&p.Routes, &p.Trace, &p.Strays} {
		if c.Result == "" {
			c.Result = Unknown
		}
	}
	return p
}
