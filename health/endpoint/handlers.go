package endpoint

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"replypath/health"
	"replypath/uplinks"
)

// endpointList names the routes in the answer to an unknown one.
const endpointList = "/ /healthz /readyz /status /uplinks /uplinks/NAME /fingerprint /metrics /events"

func (s *Server) routes() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("/{$}", page)
	mux.HandleFunc("/healthz", s.healthz)
	mux.HandleFunc("/readyz", s.readyz)
	mux.HandleFunc("/status", s.status)
	mux.HandleFunc("/uplinks", s.uplinks)
	mux.HandleFunc("/uplinks/{name}", s.uplink)
	mux.HandleFunc(fingerprintPath, s.fingerprint)
	mux.Handle("/metrics", s.metrics.handler())
	mux.Handle("/events", newEventStream(s.source, s.timeouts.response, s.owner, currentConnLimit()))
	mux.HandleFunc("/", func(w http.ResponseWriter, _ *http.Request) {
		http.Error(w, "not found: use one of "+endpointList, http.StatusNotFound)
	})
	return mux
}

// healthz answers 200 while the service works. The state of the uplinks does not matter: a restart would not mend it.
func (s *Server) healthz(w http.ResponseWriter, _ *http.Request) {
	status := s.source.Status()
	setAge(w, status)
	if !status.Healthy {
		http.Error(w, strings.Join(append([]string{"not healthy"}, status.Problems...), "\n"), http.StatusServiceUnavailable)
		return
	}
	writeText(w, "healthy")
}

// readyz answers 200 once the configuration has been applied.
func (s *Server) readyz(w http.ResponseWriter, _ *http.Request) {
	if !s.source.Status().Ready {
		http.Error(w, "not ready: the configuration has not been applied yet", http.StatusServiceUnavailable)
		return
	}
	writeText(w, "ready")
}

func (s *Server) status(w http.ResponseWriter, _ *http.Request) {
	status := s.source.Status()
	setAge(w, status)
	s.writeJSON(w, http.StatusOK, status.WithoutNulls())
}

// setAge sets the seconds since the kernel was read last (RFC 9111, 5.1): an answer never waits for a round.
func setAge(w http.ResponseWriter, s health.Status) {
	if !s.LastRound.IsZero() {
		w.Header().Set("Age", strconv.Itoa(int(max(0, s.At.Sub(s.LastRound).Seconds()))))
	}
}

// fingerprint answers with what the nodes of a pair must have in common.
func (s *Server) fingerprint(w http.ResponseWriter, _ *http.Request) {
	f := s.source.Status().Fingerprint
	if f == nil {
		http.Error(w, "the service is starting: there is no fingerprint yet", http.StatusServiceUnavailable)
		return
	}
	s.writeJSON(w, http.StatusOK, fingerprintDocument{health.StatusVersion, *f})
}

// uplinkList is the document at /uplinks.
type uplinkList struct {
	Version int             `json:"version"`
	Uplinks []uplinkSummary `json:"uplinks"`
}

// uplinkSummary is the part of an UplinkStatus that is in the list.
type uplinkSummary struct {
	Name      string          `json:"name"`
	ID        int             `json:"id"`
	Interface string          `json:"interface"`
	State     health.State    `json:"state"`
	Families  []familySummary `json:"families"`
}

type familySummary struct {
	Family uplinks.Family `json:"family"`
	State  health.State   `json:"state"`
	Reason string         `json:"reason"`
}

func (s *Server) uplinks(w http.ResponseWriter, _ *http.Request) {
	all := uplinkList{Version: health.StatusVersion, Uplinks: []uplinkSummary{}}
	for _, u := range s.source.Status().Uplinks {
		summary := uplinkSummary{Name: u.Name, ID: u.ID, Interface: u.Interface, State: u.State, Families: []familySummary{}}
		for _, f := range u.Families {
			summary.Families = append(summary.Families, familySummary{f.Family, f.State, f.Reason})
		}
		all.Uplinks = append(all.Uplinks, summary)
	}
	s.writeJSON(w, http.StatusOK, all)
}

// uplinkDocument is the document at /uplinks/NAME.
type uplinkDocument struct {
	Version int `json:"version"`
	health.UplinkStatus
}

// uplink answers 200 if the uplink is up in the requested family, or in all of its families, and 503 otherwise. A load
// balancer must not use an unproven uplink either, as replies may not arrive. With standby=ok an uplink on standby is good too.
func (s *Server) uplink(w http.ResponseWriter, r *http.Request) {
	all := s.source.Status().Uplinks
	i := slices.IndexFunc(all, func(u health.UplinkStatus) bool { return u.Name == r.PathValue("name") })
	if i < 0 {
		http.Error(w, fmt.Sprintf("there is no uplink %q: the uplinks are %s", r.PathValue("name"), uplinkNames(all)), http.StatusNotFound)
		return
	}
	u := all[i].WithoutNulls()
	if query := r.URL.Query(); query.Has("family") {
		var family uplinks.Family
		if err := family.UnmarshalText([]byte(query.Get("family"))); err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		j := slices.IndexFunc(u.Families, func(f health.FamilyStatus) bool { return f.Family == family })
		if j < 0 {
			http.Error(w, fmt.Sprintf("uplink %q does not manage %s", u.Name, family), http.StatusNotFound)
			return
		}
		u.State, u.Families = u.Families[j].State, u.Families[j:j+1]
	}
	code := http.StatusServiceUnavailable
	if u.State == health.Up || u.State == health.Standby && r.URL.Query().Get("standby") == "ok" {
		code = http.StatusOK
	}
	s.writeJSON(w, code, uplinkDocument{health.StatusVersion, u})
}

func uplinkNames(statuses []health.UplinkStatus) string {
	if len(statuses) == 0 {
		return "none"
	}
	var names []string
	for _, u := range statuses {
		names = append(names, u.Name)
	}
	return strings.Join(names, ", ")
}

func writeText(w http.ResponseWriter, line string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	fmt.Fprintln(w, line)
}

func (s *Server) writeJSON(w http.ResponseWriter, code int, v any) {
	body, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		http.Error(w, fmt.Sprintf("encode the answer: %v", err), http.StatusInternalServerError)
		return
	}
	// The client has all of the timeout to read: encoding a large document does not count.
	_ = http.NewResponseController(w).SetWriteDeadline(time.Now().Add(s.timeouts.response))
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(code)
	// A write error means that the client has closed the connection.
	_, _ = w.Write(append(body, '\n'))
}
