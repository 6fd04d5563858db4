package rtnl

import (
	"slices"
	"testing"

	"replypath/marks/nlattr"
	"replypath/uplinks"
)

// TestMetricsAreReadAsWritten encodes and decodes metrics, in the order of their attributes.
func TestMetricsAreReadAsWritten(t *testing.T) {
	for _, m := range [][]uplinks.Metric{
		nil, {{Name: "mtu", Value: 1400}}, {{Name: "mtu", Locked: true, Value: 1400}, {Name: "advmss", Value: 1360}},
		{{Name: "mtu", Value: 1400}, {Name: "window", Value: 9000}, {Name: "rtt", Value: 800}, {Name: "rttvar", Value: 40}, {Name: "ssthresh", Value: 7},
			{Name: "cwnd", Locked: true, Value: 5}, {Name: "advmss", Value: 1360}, {Name: "reordering", Value: 3}, {Name: "hoplimit", Value: 64},
			{Name: "initcwnd", Value: 10}, {Name: "features", Value: 1}, {Name: "rto_min", Locked: true, Value: 40}, {Name: "initrwnd", Value: 12},
			{Name: "quickack", Value: 1}, {Name: "congctl", Locked: true, Text: "reno"}, {Name: "fastopen_no_cookie", Value: 1}},
	} {
		got, complete := parseMetrics(nlattr.Value(encodeMetrics(m)))
		if !slices.Equal(got.Values(), m) || !complete {
			t.Errorf("%v is read as %v, complete: %t", m, got, complete)
		}
	}
}

func TestUnknownMetricIsNoticed(t *testing.T) {
	var m message
	m.addUint32(99, 1)
	if got, complete := parseMetrics(nlattr.Value(m)); !got.IsEmpty() || complete {
		t.Errorf("read as %v, complete: %t", got, complete)
	}
	if got := encodeMetrics([]uplinks.Metric{{Name: "nonsense", Locked: true, Value: 3}}); len(got) != 0 {
		t.Errorf("one without a known name becomes %x", got)
	}
}
