package rtnl

import (
	"replypath/marks"
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
func parseMetrics(v nlattr.Value) (metrics marks.List[uplinks.Metric], complete bool) {
	locked := nlattr.Find(v, unix.RTAX_LOCK).Uint32()
	var all []uplinks.Metric
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
		m := uplinks.Metric{Name: name, Locked: locked&(1<<attrType) != 0}
		if attrType == unix.RTAX_CC_ALGO {
			m.Text = unix.ByteSliceToString(v)
		} else {
			m.Value = v.Uint32()
		}
		all = append(all, m)
	}
	return marks.NewList(all...), complete
}

// encodeMetrics returns the value of RTA_METRICS. It ignores a metric without a known name.
func encodeMetrics(metrics []uplinks.Metric) []byte {
	var b message
	locked := uint32(0)
	for _, m := range metrics {
		attrType := metricType(m.Name)
		switch {
		case attrType == 0:
			continue
		case attrType == unix.RTAX_CC_ALGO:
			b.addAttr(attrType, append([]byte(m.Text), 0))
		default:
			b.addUint32(attrType, m.Value)
		}
		if m.Locked {
			locked |= 1 << attrType
		}
	}
	if locked != 0 {
		b.addUint32(unix.RTAX_LOCK, locked)
	}
	return b
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
