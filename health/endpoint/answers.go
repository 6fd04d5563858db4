package endpoint

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"replypath/health"
	"replypath/uplinks"
)

// places are what can be asked for, as told to whoever asks for something else.
const places = "/ /healthz /readyz /status /uplinks /uplinks/NAME /metrics /events"

func (s *Server) routes() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("/{$}", page)
	mux.HandleFunc("/healthz", s.healthz)
	mux.HandleFunc("/readyz", s.readyz)
	mux.HandleFunc("/status", s.status)
	mux.HandleFunc("/uplinks", s.uplinks)
	mux.HandleFunc("/uplinks/{name}", s.uplink)
	mux.Handle("/metrics", s.metrics.handler())
	mux.Handle("/events", newStage(s.source))
	mux.HandleFunc("/", func(w http.ResponseWriter, _ *http.Request) {
		http.Error(w, "there is nothing here; there is "+places, http.StatusNotFound)
	})
	return mux
}

// healthz is about the service: an uplink that is down is no reason to start it anew.
func (s *Server) healthz(w http.ResponseWriter, _ *http.Request) {
	status := s.source.Status()
	if !status.Healthy {
		http.Error(w, strings.Join(append([]string{"not healthy"}, status.Problems...), "\n"), http.StatusServiceUnavailable)
		return
	}
	text(w, "healthy")
}

func (s *Server) readyz(w http.ResponseWriter, _ *http.Request) {
	if !s.source.Status().Ready {
		http.Error(w, "not ready: the configuration has not been applied yet", http.StatusServiceUnavailable)
		return
	}
	text(w, "ready")
}

func (s *Server) status(w http.ResponseWriter, _ *http.Request) {
	reply(w, http.StatusOK, s.source.Status().Whole())
}

// several is the document at /uplinks.
type several struct {
	Version int      `json:"version"`
	Uplinks []inLine `json:"uplinks"`
}

// inLine is an uplink in few words.
type inLine struct {
	Name      string         `json:"name"`
	ID        int            `json:"id"`
	Interface string         `json:"interface"`
	State     health.State   `json:"state"`
	Families  []familyInLine `json:"families"`
}

type familyInLine struct {
	Family uplinks.Family `json:"family"`
	State  health.State   `json:"state"`
	Reason string         `json:"reason"`
}

func (s *Server) uplinks(w http.ResponseWriter, _ *http.Request) {
	all := several{Version: health.StatusVersion, Uplinks: []inLine{}}
	for _, u := range s.source.Status().Uplinks {
		short := inLine{Name: u.Name, ID: u.ID, Interface: u.Interface, State: u.State, Families: []familyInLine{}}
		for _, f := range u.Families {
			short.Families = append(short.Families, familyInLine{f.Family, f.State, f.Reason})
		}
		all.Uplinks = append(all.Uplinks, short)
	}
	reply(w, http.StatusOK, all)
}

// one is the document at /uplinks/NAME.
type one struct {
	Version int `json:"version"`
	health.UplinkStatus
}

// uplink says by its status code whether the uplink may be given work: 200 exactly when it is up, in the family that is
// asked for or in all that it has. An unproven one is not: what is asked there may never be answered.
func (s *Server) uplink(w http.ResponseWriter, r *http.Request) {
	all := s.source.Status().Uplinks
	i := slices.IndexFunc(all, func(u health.UplinkStatus) bool { return u.Name == r.PathValue("name") })
	if i < 0 {
		http.Error(w, fmt.Sprintf("there is no uplink %q; there is %s", r.PathValue("name"), names(all)), http.StatusNotFound)
		return
	}
	u := all[i].Whole()
	if asked := r.URL.Query(); asked.Has("family") {
		var family uplinks.Family
		if err := family.UnmarshalText([]byte(asked.Get("family"))); err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		j := slices.IndexFunc(u.Families, func(f health.Standing) bool { return f.Family == family })
		if j < 0 {
			http.Error(w, fmt.Sprintf("uplink %q is not in use for %s", u.Name, family), http.StatusNotFound)
			return
		}
		u.State, u.Families = u.Families[j].State, u.Families[j:j+1]
	}
	code := http.StatusServiceUnavailable
	if u.State == health.Up {
		code = http.StatusOK
	}
	reply(w, code, one{health.StatusVersion, u})
}

func names(all []health.UplinkStatus) string {
	if len(all) == 0 {
		return "none"
	}
	var names []string
	for _, u := range all {
		names = append(names, u.Name)
	}
	return strings.Join(names, ", ")
}

func text(w http.ResponseWriter, line string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	fmt.Fprintln(w, line)
}

func reply(w http.ResponseWriter, code int, v any) {
	body, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		http.Error(w, fmt.Sprintf("write the answer: %v", err), http.StatusInternalServerError)
		return
	}
	// The time is the reader's: what it took to write the answer down does not count.
	_ = http.NewResponseController(w).SetWriteDeadline(time.Now().Add(answerTime))
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(code)
	// Whoever has gone away does not want it.
	_, _ = w.Write(append(body, '\n'))
}
