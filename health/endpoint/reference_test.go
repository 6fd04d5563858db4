package endpoint

import (
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"replypath/health"
	"replypath/uplinks"
)

func readReference(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile("../../etc/status.md")
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// addFieldNames adds the JSON names of all fields of a document, and of the documents in it.
func addFieldNames(of reflect.Type, all map[string]bool) {
	switch of.Kind() {
	case reflect.Pointer, reflect.Slice:
		addFieldNames(of.Elem(), all)
	case reflect.Struct:
		if of == reflect.TypeFor[time.Time]() {
			return
		}
		for i := range of.NumField() {
			f := of.Field(i)
			if name, _, _ := strings.Cut(f.Tag.Get("json"), ","); name != "" {
				all[name] = true
			}
			addFieldNames(f.Type, all)
		}
	}
}

// firstColumn returns the code spans in the first columns of all tables.
func firstColumn(text string) (all []string) {
	for _, row := range regexp.MustCompile("(?m)^\\| (`.*?) \\|").FindAllStringSubmatch(text, -1) {
		for _, name := range regexp.MustCompile("`([^`]*)`").FindAllStringSubmatch(row[1], -1) {
			all = append(all, name[1])
		}
	}
	return all
}

func TestReferenceListsExactlyTheFields(t *testing.T) {
	all := map[string]bool{}
	addFieldNames(reflect.TypeFor[health.Status](), all)
	documented := firstColumn(readReference(t))
	for name := range all {
		if !slices.Contains(documented, name) && !strings.Contains(readReference(t), "`"+name+"`") {
			t.Errorf("the reference does not mention the field %s", name)
		}
	}
	for _, name := range documented {
		if !all[name] && !strings.HasPrefix(name, "replypath_") {
			t.Errorf("the reference has the field %s, which does not exist", name)
		}
	}
	for _, v := range []struct {
		heading string
		version int
	}{{"The status", health.StatusVersion}, {"An event", health.EventVersion}} {
		expectContains(t, readReference(t), v.heading+", version "+string(rune('0'+v.version)))
	}
}

func TestReferenceListsExactlyTheMetrics(t *testing.T) {
	s := openServer(t)
	dir := t.TempDir()
	writeCertificate(t, dir, 1)
	s.Metrics().certificate.Store(&certificateLoader{cert: filepath.Join(dir, "cert"), key: filepath.Join(dir, "key")})
	s.update(func(h *health.Status) {
		h.Uplinks[0].Families[0].Proof.At, h.Uplinks[0].Families[0].VIP, h.Conntrack.Limit = time.Now(), health.VIPHere, 1
		h.Fingerprint, h.Peer = &health.Fingerprint{Uplinks: []health.FingerprintUplink{{Name: "up", ID: 1}}}, &health.PeerStatus{URL: "http://192.0.2.9"}
		h.Mismarked = []uplinks.MismarkedConnections{{Uplink: "up", Marked: "down", Count: 1}}
		h.Outbound = &health.OutboundStatus{CountedAt: time.Now(), Policies: []health.PolicyStatus{{Policy: "all", Family: uplinks.IPv4, Members: []health.PolicyMember{{Uplink: "up"}}}},
			Uplinks: []health.OutboundUplinkStatus{{Uplink: "up", Family: uplinks.IPv4, LastMove: &health.OutboundMove{}}},
			Filters: []health.OutboundFilterStatus{{Interface: "eth0", Family: uplinks.IPv4}}}
		h.Acceleration = &health.AccelerationStatus{InForce: true}
		h.Uplinks[0].RouterActivity = []health.RouterActivity{{MAC: "02:00:00:00:00:02", Requests: 1, Seen: time.Now()}}
		h.Uplinks[0].FoundRouters = []health.FoundRouter{{MAC: "02:00:00:00:00:01", ID: 31}}
		h.Proxies = []health.ProxyStatus{{Intercept: "web", Family: uplinks.IPv4, Protocol: "tcp", Proxy: "50080", State: uplinks.ProxyListening}}
	})
	q := health.NewProbe("dns", health.Target{Kind: health.ICMP, Host: "192.0.2.53"})
	s.Metrics().Observe(health.Key{Uplink: "up", Family: uplinks.IPv4}, q, health.Outcome{RTT: time.Millisecond})
	_, body := s.get(t, "/metrics")
	var served []string
	for _, m := range regexp.MustCompile(`(?m)^# TYPE (replypath_\w+)`).FindAllStringSubmatch(body, -1) {
		served = append(served, m[1])
	}
	documented := slices.DeleteFunc(firstColumn(readReference(t)), func(s string) bool { return !strings.HasPrefix(s, "replypath_") })
	slices.Sort(documented)
	slices.Sort(served)
	if !slices.Equal(served, documented) {
		t.Errorf("the endpoint has\n%s\nand the reference\n%s", strings.Join(served, " "), strings.Join(documented, " "))
	}
}
