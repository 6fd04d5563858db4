package endpoint

import (
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"replypath/health"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// Metrics is a Prometheus collector of the Status at the time of the scrape, and of the round-trip times that Observe has
// counted. It forgets those of probes that are no longer in the Status.
type Metrics struct {
	registry *prometheus.Registry
	source   Source
	// certificate is that of the endpoint; nil without TLS.
	certificate atomic.Pointer[certificateLoader]
	mu          sync.Mutex
	rtts        map[rttKey]*histogram
}

// rttKey identifies the probe of a histogram.
type rttKey struct {
	health.Key
	probe string
}

// NewMetrics returns the metrics of the source's status.
func NewMetrics(s Source) *Metrics {
	m := &Metrics{registry: prometheus.NewRegistry(), source: s, rtts: map[rttKey]*histogram{}}
	m.registry.MustRegister(m, collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return m
}

// handler serves up to maxScrapes at once. An invalid series does not hide the others.
func (m *Metrics) handler() http.Handler {
	return promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{
		ErrorHandling:       promhttp.ContinueOnError,
		MaxRequestsInFlight: maxScrapes,
		DisableCompression:  true,
	})
}

// Observe counts the round-trip time of an answered probe.
func (m *Metrics) Observe(k health.Key, q health.Probe, o health.Outcome) {
	if o.Err != nil {
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	t := rttKey{k, q.Name}
	d := m.rtts[t]
	if d == nil || d.target != q.Target {
		d = &histogram{target: q.Target}
		m.rtts[t] = d
	}
	d.observe(o.RTT)
}

// Describe describes no series, which makes the collector unchecked: series may come and go.
func (m *Metrics) Describe(chan<- *prometheus.Desc) {}

// Collect sends all series of the current status.
func (m *Metrics) Collect(out chan<- prometheus.Metric) {
	s := m.source.Status()
	collectService(out, s)
	collectOutbound(out, s.Outbound)
	if c := m.certificate.Load(); c != nil {
		sendTime(out, certificateEnd, c.notAfter())
	}
	labelsOf := map[rttKey][]string{}
	for _, u := range s.Uplinks {
		for _, f := range u.Families {
			labels := []string{u.Name, u.Interface, familyLabel(f.Family)}
			collectFamily(out, labels, f)
			for _, a := range f.Probes {
				t := rttKey{health.Key{Uplink: u.Name, Family: f.Family}, a.Name}
				labelsOf[t] = append(labels[:len(labels):len(labels)], a.Name, a.Target)
				collectProbe(out, labelsOf[t], a)
			}
		}
	}
	m.collectRTTs(out, labelsOf)
}

// collectRTTs sends the histograms of the labelled probes, and forgets the others.
func (m *Metrics) collectRTTs(out chan<- prometheus.Metric, known map[rttKey][]string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for t, d := range m.rtts {
		labels, still := known[t]
		if !still {
			delete(m.rtts, t)
			continue
		}
		metric, err := prometheus.NewConstHistogram(probeRTT(), d.count, d.sum, d.buckets(), validLabels(labels)...)
		send(out, probeRTT, metric, err)
	}
}

// rttBuckets are the upper bounds of the buckets, in seconds.
var rttBuckets = [...]float64{0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5}

// histogram counts the round-trip times of one target.
type histogram struct {
	target     health.Target
	count      uint64
	sum        float64 // in seconds
	cumulative [len(rttBuckets)]uint64
}

func (d *histogram) observe(t time.Duration) {
	seconds := t.Seconds()
	d.count++
	d.sum += seconds
	for i, bound := range rttBuckets {
		if seconds <= bound {
			d.cumulative[i]++
		}
	}
}

func (d *histogram) buckets() map[float64]uint64 {
	all := make(map[float64]uint64, len(rttBuckets))
	for i, bound := range rttBuckets {
		all[bound] = d.cumulative[i]
	}
	return all
}
