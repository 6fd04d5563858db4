package uplinks

import "fmt"

// Metric is a metric of a route that is set (rtnetlink(7), RTA_METRICS).
type Metric struct {
	Name   string // of ip-route(8)
	Locked bool
	Value  uint32 // in the kernel's unit
	Text   string // of congctl, which has no Value
}

// spec returns the metric as arguments of ip-route(8), which has words for the bits of features, and locks rto_min without a word.
func (m Metric) spec() string {
	words := m.Name
	if m.Locked && m.Name != "rto_min" {
		words += " lock"
	}
	switch {
	case m.Name == "features" && m.Value == 1 && !m.Locked:
		return words + " ecn"
	case m.Text != "":
		return words + " " + m.Text
	}
	return fmt.Sprintf("%s %d", words, m.Value)
}
