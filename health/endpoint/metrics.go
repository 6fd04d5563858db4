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
	trips    map[trip]*durations
}

// trip is what a histogram of round trips is for.
type trip struct {
	health.Key
	probe string
}

// NewMetrics shows what the source says.
func NewMetrics(s Source) *Metrics {
	m := &Metrics{registry: prometheus.NewRegistry(), source: s, trips: map[trip]*durations{}}
	m.registry.MustRegister(m, collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return m
}

// handler answers a few scrapes at once. A series that cannot be shown does not hide the others.
func (m *Metrics) handler() http.Handler {
	return promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{
		ErrorHandling:       promhttp.ContinueOnError,
		MaxRequestsInFlight: scrapes,
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
	t := trip{k, q.Name}
	d := m.trips[t]
	if d == nil || d.target != q.Target {
		d = &durations{target: q.Target}
		m.trips[t] = d
	}
	d.add(o.RTT)
}

// Describe says nothing, so that series may come and go.
func (m *Metrics) Describe(chan<- *prometheus.Desc) {}

// Collect shows how things stand now.
func (m *Metrics) Collect(out chan<- prometheus.Metric) {
	s := m.source.Status()
	service(out, s)
	known := map[trip][]string{}
	for _, u := range s.Uplinks {
		for _, f := range u.Families {
			labels := []string{u.Name, u.Interface, lower(f.Family)}
			standing(out, labels, f)
			for _, a := range f.Probes {
				t := trip{health.Key{Uplink: u.Name, Family: f.Family}, a.Name}
				known[t] = append(labels[:len(labels):len(labels)], a.Name, a.Target)
				answers(out, known[t], a)
			}
		}
	}
	m.show(out, known)
}

// show gives the histograms of what is known, and forgets the others.
func (m *Metrics) show(out chan<- prometheus.Metric, known map[trip][]string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for t, d := range m.trips {
		labels, still := known[t]
		if !still {
			delete(m.trips, t)
			continue
		}
		metric, err := prometheus.NewConstHistogram(probeRTT(), d.count, d.sum, d.buckets(), valid(labels)...)
		give(out, probeRTT, metric, err)
	}
}

// bounds are of the buckets, in seconds.
var bounds = [...]float64{0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5}

// durations is a histogram.
type durations struct {
	target health.Target
	count  uint64
	sum    float64 // of seconds
	below  [len(bounds)]uint64
}

func (d *durations) add(t time.Duration) {
	seconds := t.Seconds()
	d.count++
	d.sum += seconds
	for i, bound := range bounds {
		if seconds <= bound {
			d.below[i]++
		}
	}
}

func (d *durations) buckets() map[float64]uint64 {
	all := make(map[float64]uint64, len(bounds))
	for i, bound := range bounds {
		all[bound] = d.below[i]
	}
	return all
}
