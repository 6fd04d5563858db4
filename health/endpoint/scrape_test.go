package endpoint

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"replypath/health"
	"replypath/uplinks"
)

// manyUplinks returns metrics of n uplinks of both families that are probed and proven.
func manyUplinks(n int) *Metrics {
	source := newFakeSource()
	source.status.Uplinks = nil
	m := NewMetrics(source)
	for i := range n {
		u := health.UplinkStatus{Name: fmt.Sprintf("isp%d", i), ID: i + 1, Interface: fmt.Sprintf("eth%d", i), State: health.Up}
		for _, f := range uplinks.Families {
			target := health.Target{Kind: health.ICMP, Host: fmt.Sprintf("198.51.100.%d", i)}
			yes := health.ProofCheck{Result: health.Yes}
			u.Families = append(u.Families, health.FamilyStatus{Family: f, State: health.Up, Proof: health.Proof{Routes: yes, Trace: yes, At: time.Now()},
				Probes: []health.ProbeStatus{{Name: "gateway", Target: target.String(), Up: true, Sent: uint64(1000 + i), Lost: uint64(i), LossPercent: float64(i) / 10}}})
			m.Observe(health.Key{Uplink: u.Name, Family: f}, health.NewProbe("gateway", target), health.Outcome{RTT: time.Duration(i) * time.Millisecond})
		}
		source.status.Uplinks = append(source.status.Uplinks, u)
	}
	return m
}

// response is an http.ResponseWriter.
type response struct {
	header http.Header
	io.Writer
}

func (r response) Header() http.Header { return r.header }
func (r response) WriteHeader(int)     {}

// scrapeOnce serves a scrape.
func scrapeOnce(tb testing.TB, handler http.Handler, to io.Writer) {
	tb.Helper()
	request, err := http.NewRequestWithContext(tb.Context(), http.MethodGet, "/metrics", nil)
	if err != nil {
		tb.Fatal(err)
	}
	handler.ServeHTTP(response{http.Header{}, to}, request)
}

// A Prometheus collector needs 16 allocations for each sample.
func TestScrapeAllocatesLittle(t *testing.T) {
	handler := manyUplinks(50).handler()
	var text bytes.Buffer
	scrapeOnce(t, handler, &text)
	samples := strings.Count(text.String(), "\nreplypath_")
	allocations := testing.AllocsPerRun(3, func() { scrapeOnce(t, handler, io.Discard) })
	if samples < 4000 || allocations > 3*float64(samples) {
		t.Errorf("%.0f allocations for %d samples", allocations, samples)
	}
}

// BenchmarkScrape measures one scrape of 250 uplinks.
func BenchmarkScrape(b *testing.B) {
	handler := manyUplinks(250).handler()
	b.ReportAllocs()
	for b.Loop() {
		scrapeOnce(b, handler, io.Discard)
	}
}
