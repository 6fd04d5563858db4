package rtnl

import (
	"testing"

	"replypath/marks/nlattr"
	"replypath/uplinks"
)

// TestMetricsAreReadAsWritten encodes and decodes metrics, in the order of their attributes.
func TestMetricsAreReadAsWritten(t *testing.T) {
	for _, m := range []uplinks.Metrics{
		"", "mtu 1400", "mtu lock 1400 advmss 1360",
		"mtu 1400 window 9000 rtt 800 rttvar 40 ssthresh 7 cwnd lock 5 advmss 1360 reordering 3 hoplimit 64 initcwnd 10 features 1 " +
			"rto_min lock 40 initrwnd 12 quickack 1 congctl lock reno fastopen_no_cookie 1",
	} {
		got, complete := parseMetrics(nlattr.Value(encodeMetrics(m)))
		if got != m || !complete {
			t.Errorf("%q is read as %q, complete: %t", m, got, complete)
		}
	}
}

func TestUnknownMetricIsNoticed(t *testing.T) {
	var m message
	m.addUint32(99, 1)
	if got, complete := parseMetrics(nlattr.Value(m)); got != "" || complete {
		t.Errorf("read as %q, complete: %t", got, complete)
	}
}

func TestIncompleteMetricIsNotEncoded(t *testing.T) {
	for _, m := range []uplinks.Metrics{"mtu", "nonsense 3", "mtu many"} {
		if got := encodeMetrics(m); len(got) != 0 {
			t.Errorf("%q becomes %x", m, got)
		}
	}
}
