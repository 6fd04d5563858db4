package endpoint

import (
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"replypath/health"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	dto "github.com/prometheus/client_model/go"
)

// Metrics gathers the series of the Status at the time of the scrape, and of the round-trip times that Observe has counted.
// It forgets those of probes that are no longer in the Status.
type Metrics struct {
	runtime *prometheus.Registry // the series of Go and of the process
	source  Source
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
	m := &Metrics{runtime: prometheus.NewRegistry(), source: s, rtts: map[rttKey]*histogram{}}
	m.runtime.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return m
}

// handler serves up to maxScrapes at once.
func (m *Metrics) handler() http.Handler {
	return promhttp.HandlerFor(prometheus.GathererFunc(m.gather), promhttp.HandlerOpts{
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

// gather returns all series.
func (m *Metrics) gather() ([]*dto.MetricFamily, error) {
	all, err := m.runtime.Gather()
	s, out := m.source.Status(), scrape{}
	collectService(out, s)
	collectOutbound(out, s.Outbound)
	if c := m.certificate.Load(); c != nil {
		out.setTime(certificateEnd, c.notAfter())
	}
	m.collectRTTs(out, collectUplinks(out, s.Uplinks))
	all = append(all, out.families()...)
	slices.SortFunc(all, compareFamilies)
	return all, err
}

// collectRTTs adds the histograms of the labelled probes, and forgets the others.
func (m *Metrics) collectRTTs(out scrape, known map[rttKey]labels) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for t, d := range m.rtts {
		if all, still := known[t]; still {
			out.append(probeRTT, d.series(all))
		} else {
			delete(m.rtts, t)
		}
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

// series returns what has been counted so far.
func (d *histogram) series(all labels) *dto.Metric {
	counted, buckets := *d, [len(rttBuckets)]dto.Bucket{}
	h := &dto.Histogram{SampleCount: &counted.count, SampleSum: &counted.sum, Bucket: make([]*dto.Bucket, len(rttBuckets))}
	for i := range buckets {
		buckets[i].UpperBound, buckets[i].CumulativeCount = &rttBuckets[i], &counted.cumulative[i]
		h.Bucket[i] = &buckets[i]
	}
	return &dto.Metric{Label: all, Histogram: h}
}
