package uplinks

// PathKey names an uplink in one address family.
type PathKey struct {
	Uplink string // Uplink.Name
	Family Family
}

// Verdict is the result of health checking for a path.
type Verdict string

// The verdicts. The words are those of the status document (etc/status.md).
const (
	VerdictUnknown  Verdict = ""         // not checked, or no result yet
	VerdictAbsent   Verdict = "absent"   // no link, address or gateway
	VerdictDown     Verdict = "down"     // IFF_DOWN, no carrier, or no answer to probes
	VerdictUnproven Verdict = "unproven" // up, but its reply path is broken
	VerdictStandby  Verdict = "standby"  // the other node of a pair has its addresses
	VerdictUp       Verdict = "up"
	VerdictHeld     Verdict = "held"     // down for its flaps alone: it answers
	VerdictDegraded Verdict = "degraded" // up or unproven, and loss or latency is beyond its thresholds
)

// Verdicts holds the verdict of each path; a path that is not in it has VerdictUnknown. It is an input of Desired, so a
// purpose can avoid an uplink that is down. Readers must not change it.
type Verdicts map[PathKey]Verdict

// DependsOnVerdicts reports whether an object that the settings want, or a connection, may depend on a verdict. Without outbound policies
// none does.
func (s Settings) DependsOnVerdicts() bool { return s.Outbound.Enabled() }
