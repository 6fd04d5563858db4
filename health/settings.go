package health

import (
	"net/netip"
	"time"
)

// Settings is how the operator wants the uplinks watched: complete and checked, no value absent.
type Settings struct {
	Uplinks       []UplinkSettings // in the order of their ids
	ProofServices []ProofService
	Proof         ProofSettings
	OnChange      []string // absolute paths of programs that are told of every event
}

// UplinkSettings is how one uplink is watched.
type UplinkSettings struct {
	Name        string
	Probes      []Probe // in the order of their names; empty: the gateway alone, where there is one
	Quorum      int     // how many of a family's probes must be answered for it to be up; where they are fewer, all of them
	CarrierOnly bool    // in a family without a probe nobody is asked: the link alone decides
}

// Probe is a question that is put through an uplink again and again.
type Probe struct {
	Name     string
	Target   Target
	Interval time.Duration     // between two questions when all is well
	Timeout  time.Duration     // until a question counts as lost
	Retry    time.Duration     // between questions while an answer is late or has been missed
	Fall     int               // as many lost in a row: down
	Rise     int               // as many answered in a row: up again
	Loss     LossThresholds    // of the last WindowSize questions; zero: not looked at
	Latency  LatencyThresholds // mean of the answered among the last WindowSize questions; zero: not looked at
}

// WindowSize is how many questions loss and latency are judged by.
const WindowSize = 30

// LossThresholds are two thresholds: degraded when High is reached, and no longer when it falls to Low or below.
type LossThresholds struct{ High, Low int }

// LatencyThresholds are two thresholds like LossThresholds.
type LatencyThresholds struct{ High, Low time.Duration }

// Defaults of a probe.
const (
	DefaultInterval = time.Second
	DefaultTimeout  = time.Second
	DefaultRetry    = 200 * time.Millisecond
	DefaultFall     = 3
	DefaultRise     = 5
	DefaultLossHigh = 20
	DefaultLossLow  = 10
)

// NewProbe is a probe of the target with the defaults.
func NewProbe(name string, t Target) Probe {
	return Probe{Name: name, Target: t, Interval: DefaultInterval, Timeout: DefaultTimeout, Retry: DefaultRetry,
		Fall: DefaultFall, Rise: DefaultRise, Loss: LossThresholds{DefaultLossHigh, DefaultLossLow}}
}

// DetectionTime is the longest time from the moment from which nobody answers to the verdict "down": the next question is an
// Interval away, its answer counts as late after a Timeout at most, further ones follow every Retry, and the last of
// them has its Timeout too.
func (p Probe) DetectionTime() time.Duration {
	if p.Fall == 1 {
		return p.Interval + p.Timeout
	}
	return p.Interval + 2*p.Timeout + time.Duration(p.Fall-2)*p.Retry
}

// ProbeKind is how a target is asked.
type ProbeKind string

// The kinds of probes.
const (
	Gateway ProbeKind = "gateway" // the uplink's own gateway, by ARP or neighbour discovery
	ICMP    ProbeKind = "icmp"
	TCP     ProbeKind = "tcp"
	HTTP    ProbeKind = "http" // and https, as the URL says
)

// Target is who is asked, and what a good answer is.
type Target struct {
	Kind   ProbeKind
	Host   string      // an address or a host name, without brackets; empty for Gateway
	Port   uint16      // TCP
	URL    string      // HTTP
	Status StatusCodes // HTTP; zero: 200 to 399
	Body   string      // HTTP: what the body must hold; empty: anything
}

// StatusCodes are the HTTP status codes from First to LastRound.
type StatusCodes struct{ First, Last int }

// ProofService is something that the reply path of is shown beside the host's own answers, such as a port that is forwarded
// by DNAT.
type ProofService struct {
	Proto  string     // tcp or udp
	Addr   netip.Addr // the uplink's address; invalid: all addresses of the uplinks below
	Uplink string     // an uplink's name, when To is not given; empty: every uplink
	Port   uint16
}

// ProofSettings is how the reply path is shown.
type ProofSettings struct {
	Interval time.Duration // 0: never by itself
	Source4  netip.Addr    // who seems to ask; invalid: an address for documentation that the host does not know
	Source6  netip.Addr
}

// DefaultProofSettings shows the reply path twice a minute.
var DefaultProofSettings = ProofSettings{Interval: 30 * time.Second}
