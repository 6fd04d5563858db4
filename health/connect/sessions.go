package connect

import (
	"crypto/tls"
	"maps"
	"sync"
	"time"

	"replypath/health"
)

// Lifetime is how long a TLS session is resumed. A resumed one is begun without the server's certificate, so a server
// that goes on taking the tickets of before, while its certificate is another, is found out no later than that. The end
// of a certificate's own time is seen at once.
const Lifetime = time.Minute

// sessions are those of TLS, one for every path and target. To resume one spares the most expensive part of a question,
// which is to verify who answers.
type sessions struct {
	mu    sync.Mutex
	known map[callee]session
}

type callee struct {
	path   health.Path // on another link or with another mark another may answer
	target health.Target
}

type session struct {
	config *tls.Config // it has the tickets
	since  time.Time   // no ticket of it goes back to an earlier look at the certificate
}

func newSessions() *sessions { return &sessions{known: map[callee]session{}} }

// config is how to talk to the host.
func (s *sessions) config(p health.Path, t health.Target, host string) *tls.Config {
	s.mu.Lock()
	defer s.mu.Unlock()
	at := callee{p, t}
	if known, ok := s.known[at]; ok && fresh(known) {
		return known.config
	}
	maps.DeleteFunc(s.known, func(_ callee, old session) bool { return !fresh(old) })
	begun := session{settings(host), time.Now()}
	s.known[at] = begun
	return begun.config
}

// settings are those of one session. What a probe says is no secret, so it does without the key exchanges that a quantum
// computer could not break: they would be a sixth of what a question costs.
func settings(host string) *tls.Config {
	return &tls.Config{
		ServerName:         host,
		ClientSessionCache: tls.NewLRUClientSessionCache(1),
		CurvePreferences:   []tls.CurveID{tls.X25519, tls.CurveP256, tls.CurveP384, tls.CurveP521},
	}
}

func fresh(s session) bool { return time.Since(s.since) < Lifetime }

// forget has the next question look at the certificate again: this one was not answered as it should be.
func (s *sessions) forget(p health.Path, t health.Target) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.known, callee{p, t})
}
