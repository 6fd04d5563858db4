package daemon

import (
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"

	"replypath/health"
	"replypath/health/healthtest"
	"replypath/health/hook"
	"replypath/uplinks"
)

// startPeerPoller runs a poller of a peer that serves the fingerprint of the settings stored last.
func startPeerPoller(t *testing.T, own uplinks.Settings) (p *peerPoller, there *atomic.Pointer[uplinks.Settings], events *health.EventLog, log *healthtest.LogBuffer) {
	t.Helper()
	there, events, log = &atomic.Pointer[uplinks.Settings]{}, &health.EventLog{}, &healthtest.LogBuffer{}
	there.Store(&own)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if s := there.Load(); s != nil {
			_ = json.NewEncoder(w).Encode(health.NewFingerprint(*s))
			return
		}
		http.Error(w, "broken", http.StatusInternalServerError)
	}))
	t.Cleanup(server.Close)
	logger := slog.New(slog.NewTextHandler(log, nil))
	p = newPeerPoller(&eventRecorder{events: events, hooks: hook.New(logger), log: logger}, logger)
	p.setFingerprint(own)
	p.configure(health.PeerSettings{URL: server.URL})
	ended := make(chan error)
	go func() { ended <- p.Run(t.Context()) }()
	t.Cleanup(func() { <-ended })
	return p, there, events, log
}

// awaitPeer compares until the status of the peer is as wanted.
func awaitPeer(t *testing.T, p *peerPoller, what string, reached func(health.PeerStatus) bool) {
	t.Helper()
	healthtest.WaitFor(t, what, func() bool {
		p.wakeUp()
		_, s := p.Status()
		return s != nil && reached(*s)
	})
}

func TestDifferenceOfThePeerIsReported(t *testing.T) {
	own := uplinks.DefaultSettings()
	own.Uplinks = []uplinks.Uplink{{Name: "isp0", ID: 1}, {Name: "isp1", ID: 2}}
	swapped := own
	swapped.Uplinks = []uplinks.Uplink{{Name: "isp0", ID: 2}, {Name: "isp1", ID: 1}}
	p, there, events, log := startPeerPoller(t, own)
	agrees := func(s health.PeerStatus) bool { return !s.At.IsZero() && s.Error == "" && len(s.Differences) == 0 }
	differs := func(s health.PeerStatus) bool { return len(s.Differences) == 2 }
	awaitPeer(t, p, "the peer agrees", agrees)
	if all := events.Events(); len(all) > 0 {
		t.Errorf("events of a peer that agrees: %+v", all)
	}
	there.Store(&swapped)
	awaitPeer(t, p, "the peer differs", differs)
	there.Store(nil)
	awaitPeer(t, p, "the peer fails, and its differences stand", func(s health.PeerStatus) bool { return s.Error != "" && differs(s) })
	there.Store(&swapped)
	awaitPeer(t, p, "the peer is back", func(s health.PeerStatus) bool { return s.Error == "" })
	p.setFingerprint(swapped)
	awaitPeer(t, p, "this node has the peer's ids", agrees)
	var got []string
	for _, e := range events.Events() {
		got = append(got, e.Kind+" "+e.From+" "+e.To)
	}
	if want := "peer same differs, peer differs same"; strings.Join(got, ", ") != want {
		t.Errorf("events %q, want %s", got, want)
	}
	for _, want := range []string{"id of uplink isp0: 1 here, 2 on the peer; id of uplink isp1: 2 here, 1 on the peer", health.PeerRemedy, "agrees again", "can be read again"} {
		if !strings.Contains(log.String(), want) {
			t.Errorf("the log lacks %q:\n%s", want, log)
		}
	}
	if n := strings.Count(log.String(), "500 Internal"); n != 1 {
		t.Errorf("the same failure is logged %d times", n)
	}
}

func TestResultOfAFormerPeerIsDropped(t *testing.T) {
	p := newPeerPoller(nil, discardLog)
	p.configure(health.PeerSettings{URL: "http://192.0.2.1"})
	p.record(health.PeerSettings{URL: "http://192.0.2.9"}, health.Fingerprint{}, errors.New("broken"))
	if _, s := p.Status(); s.Error != "" {
		t.Errorf("%+v", s)
	}
	p.configure(health.PeerSettings{})
	if _, s := p.Status(); s != nil {
		t.Errorf("a status of no peer: %+v", s)
	}
}
