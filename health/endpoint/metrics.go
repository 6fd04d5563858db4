package endpoint

import (
	"net/http"
	"sync"
	"time"

	"replypath/health"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// Metrics are what Prometheus sees: the Status at the moment of the scrape, and the round trips that were told by
// Observe. What is no longer in the Status is not shown any more.
type Metrics struct {
	registry *prometheus.Registry
	source   Source
	mu       sync.Mutex
	rtts     map[rttKey]*histogram
}

// rttKey is what a histogram of round trips is for.
type rttKey struct {
	health.Key
	probe string
}

// NewMetrics shows what the source says.
func NewMetrics(s Source) *Metrics {
	m := &Metrics{registry: prometheus.NewRegistry(), source: s, rtts: map[rttKey]*histogram{}}
	m.registry.MustRegister(m, collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return m
}

// handler answers a few scrapes at once. A series that cannot be shown does not hide the others.
func (m *Metrics) handler() http.Handler {
	return promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{
		ErrorHandling:       promhttp.ContinueOnError,
		MaxRequestsInFlight: maxScrapes,
		DisableCompression:  true,
	})
}

// Observe is told what came of a question that was put by the probe.
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

// Describe says nothing, so that series may come and go.
func (m *Metrics) Describe(chan<- *prometheus.Desc) {}

// Collect shows how things stand now.
func (m *Metrics) Collect(out chan<- prometheus.Metric) {
	s := m.source.Status()
	collectService(out, s)
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

// collectRTTs gives the histograms of what is known, and forgets the others.
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

// rttBuckets are of the buckets, in seconds.
var rttBuckets = [...]float64{0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5}

// histogram is a histogram.
type histogram struct {
	target     health.Target
	count      uint64
	sum        float64 // of seconds
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
