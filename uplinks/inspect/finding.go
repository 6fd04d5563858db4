package inspect

import "replypath/uplinks"

// Finding is a condition of the host that the operator should know about, and the way to end it.
type Finding struct {
	What   string `json:"what"`
	Remedy string `json:"remedy"`
}

// String returns the condition and its remedy in one sentence.
func (f Finding) String() string { return f.What + ": " + f.Remedy }

// Findings returns all findings for a configuration on a host, in the order of Inspection.Findings.
func Findings(s uplinks.Settings, f uplinks.Facts) []Finding { return Inspect(s, f).Findings() }

// BeforeChange returns the findings of an observed host, followed by the disruptions that its change to the desired
// state causes to open connections.
func BeforeChange(s uplinks.Settings, o uplinks.Observation) []Finding {
	return append(Findings(s, o.Facts), disruptions(o.Desired, o.Observed, o.MovedMarks())...)
}
