package health

import (
	"net/netip"
	"time"

	"replypath/uplinks"
)

// Settings is the part of the configuration that is about health: complete and valid, with all defaults filled in.
type Settings struct {
	Uplinks       []UplinkSettings // in the order of their ids
	ProofServices []ProofService   // nil: those that DNAT forwards
	Proof         ProofSettings
	OnChange      []string // absolute paths of programs that are run for every event
	Interception  *uplinks.Interception
}

// UplinkSettings says how one uplink is monitored.
type UplinkSettings struct {
	Name        string
	Probes      []Probe // in the order of their names; empty: the gateway is probed, where there is one
	Quorum      int     // of a family's probes, how many must be answered for it to be up; at most all of them
	CarrierOnly bool    // a family without probes is judged by its link alone, and its gateway is not probed
}

// LossThresholds are percentages: an uplink is degraded from High on, until the loss falls to Low.
type LossThresholds struct{ High, Low int }

// LatencyThresholds are mean round-trip times: an uplink is degraded from High on, until the mean falls to Low.
type LatencyThresholds struct{ High, Low time.Duration }

// Probe is sent through an uplink periodically.
type Probe struct {
	Name     string
	Target   Target
	Interval time.Duration     // between probes while they are answered
	Timeout  time.Duration     // after which a probe is lost
	Retry    time.Duration     // between probes while an answer is late or the last one was lost
	Fall     int               // so many losses in a row take the target down
	Rise     int               // so many answers in a row bring it up again
	Loss     LossThresholds    // over the last WindowSize probes; zero: disabled
	Latency  LatencyThresholds // over the answers among the last WindowSize probes; zero: disabled
}

// WindowSize is the number of probes over which loss and latency are computed.
const WindowSize = 30

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

// NewProbe returns a probe of the target with the defaults.
func NewProbe(name string, t Target) Probe {
	return Probe{Name: name, Target: t, Interval: DefaultInterval, Timeout: DefaultTimeout, Retry: DefaultRetry,
		Fall: DefaultFall, Rise: DefaultRise, Loss: LossThresholds{DefaultLossHigh, DefaultLossLow}}
}

// ProofService is a service whose reply path is proven besides that of the host's own replies, such as a port that is
// forwarded by DNAT.
type ProofService struct {
	Proto  string     // tcp or udp
	Addr   netip.Addr // an address of an uplink; invalid: all addresses of Uplink
	Uplink string     // used when Addr is invalid; empty: every uplink
	Port   uint16
}

// ProofSettings says how reply paths are proven.
type ProofSettings struct {
	Interval time.Duration // between proofs of all paths; 0: they are not repeated
	Source4  netip.Addr    // of the injected requests; invalid: a documentation address (RFC 5737) that this host does not use
	Source6  netip.Addr    // likewise (RFC 3849)
}

// DefaultProofSettings proves every reply path twice a minute.
var DefaultProofSettings = ProofSettings{Interval: 30 * time.Second}

// EndpointSettings says where and how the endpoint listens.
type EndpointSettings struct {
	Listen    netip.AddrPort // the zero AddrPort: nowhere
	TokenFile string         // absolute path of the file with the bearer token; empty: no token is required
	CertFile  string         // absolute path of the TLS certificate; empty: plain HTTP
	KeyFile   string         // absolute path of its key; empty exactly when CertFile is
}

// DefaultEndpointSettings listens on the loopback address.
var DefaultEndpointSettings = EndpointSettings{Listen: netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, 1}), 9717)}

// PeerSettings says where the endpoint of the other node of a pair is. Its fingerprint is compared periodically.
type PeerSettings struct {
	URL       string // of the endpoint, without a path; empty: there is no peer
	TokenFile string // absolute path of the file with its bearer token; empty: none is sent
	CAFile    string // absolute path of the certificates that its certificate is verified with; empty: those of the system
}
