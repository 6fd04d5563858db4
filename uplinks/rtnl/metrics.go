package rtnl

import (
	"strconv"
	"strings"

	"replypath/marks/nlattr"
	"replypath/uplinks"

	"golang.org/x/sys/unix"
)

// metricNames has the names of ip-route(8) for the metrics of a route, by their attribute (linux/rtnetlink.h, RTAX_*).
// RTAX_LOCK has a bit for each metric that is locked.
var metricNames = [...]string{
	unix.RTAX_MTU: "mtu", unix.RTAX_WINDOW: "window", unix.RTAX_RTT: "rtt", unix.RTAX_RTTVAR: "rttvar", unix.RTAX_SSTHRESH: "ssthresh",
	unix.RTAX_CWND: "cwnd", unix.RTAX_ADVMSS: "advmss", unix.RTAX_REORDERING: "reordering", unix.RTAX_HOPLIMIT: "hoplimit",
	unix.RTAX_INITCWND: "initcwnd", unix.RTAX_FEATURES: "features", unix.RTAX_RTO_MIN: "rto_min", unix.RTAX_INITRWND: "initrwnd",
	unix.RTAX_QUICKACK: "quickack", unix.RTAX_CC_ALGO: "congctl", unix.RTAX_FASTOPEN_NO_COOKIE: "fastopen_no_cookie",
}

// metricName returns the name of a metric, or "" for an unknown one.
func metricName(attrType uint16) string {
	if int(attrType) < len(metricNames) {
		return metricNames[attrType]
	}
	return ""
}

// parseMetrics decodes RTA_METRICS. complete is false if there is an unknown metric.
func parseMetrics(v nlattr.Value) (m uplinks.Metrics, complete bool) {
	locked := nlattr.Find(v, unix.RTAX_LOCK).Uint32()
	var words []string
	complete = true
	for attrType, v := range nlattr.All(v) {
		name := metricName(attrType)
		switch {
		case attrType == unix.RTAX_LOCK:
			continue
		case name == "":
			complete = false
			continue
		}
		words = append(words, name)
		if locked&(1<<attrType) != 0 {
			words = append(words, "lock")
		}
		if attrType == unix.RTAX_CC_ALGO {
			words = append(words, unix.ByteSliceToString(v))
		} else {
			words = append(words, strconv.FormatUint(uint64(v.Uint32()), 10))
		}
	}
	return uplinks.Metrics(strings.Join(words, " ")), complete
}

// encodeMetrics returns the value of RTA_METRICS. It ignores a metric without a known name or value.
func encodeMetrics(metrics uplinks.Metrics) []byte {
	var m message
	locked := uint32(0)
	words := strings.Fields(string(metrics))
	for len(words) > 1 {
		attrType := metricType(words[0])
		if words = words[1:]; words[0] == "lock" && len(words) > 1 {
			locked |= 1 << attrType
			words = words[1:]
		}
		if attrType == unix.RTAX_CC_ALGO {
			m.addAttr(attrType, append([]byte(words[0]), 0))
		} else if n, err := strconv.ParseUint(words[0], 10, 32); err == nil && attrType != 0 {
			m.addUint32(attrType, uint32(n))
		}
		words = words[1:]
	}
	if locked != 0 {
		m.addUint32(unix.RTAX_LOCK, locked)
	}
	return m
}

// metricType returns the attribute of a metric, or 0 for an unknown name.
func metricType(name string) uint16 {
	for attrType, known := range metricNames {
		if known == name {
			return uint16(attrType)
		}
	}
	return 0
}
