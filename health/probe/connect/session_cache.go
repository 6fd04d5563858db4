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

// sessionCache are those of TLS, one for every path and target. To resume one spares the most expensive part of a question,
// which is to verify who answers.
type sessionCache struct {
	mu      sync.Mutex
	entries map[sessionKey]cachedSession
}

type sessionKey struct {
	path   health.Path // on another link or with another mark another may answer
	target health.Target
}

type cachedSession struct {
	config  *tls.Config // it has the tickets
	created time.Time   // no ticket of it goes back to an earlier look at the certificate
}

func newSessionCache() *sessionCache { return &sessionCache{entries: map[sessionKey]cachedSession{}} }

// config is how to talk to the host.
func (s *sessionCache) config(p health.Path, t health.Target, host string) *tls.Config {
	s.mu.Lock()
	defer s.mu.Unlock()
	key := sessionKey{p, t}
	if cached, ok := s.entries[key]; ok && fresh(cached) {
		return cached.config
	}
	maps.DeleteFunc(s.entries, func(_ sessionKey, old cachedSession) bool { return !fresh(old) })
	created := cachedSession{newTLSConfig(host), time.Now()}
	s.entries[key] = created
	return created.config
}

// newTLSConfig are those of one session. What a probe says is no secret, so it does without the key exchanges that a quantum
// computer could not break: they would be a sixth of what a question costs.
func newTLSConfig(host string) *tls.Config {
	return &tls.Config{
		ServerName:         host,
		ClientSessionCache: tls.NewLRUClientSessionCache(1),
		CurvePreferences:   []tls.CurveID{tls.X25519, tls.CurveP256, tls.CurveP384, tls.CurveP521},
	}
}

func fresh(s cachedSession) bool { return time.Since(s.created) < Lifetime }

// invalidate has the next question look at the certificate again: this one was not answered as it should be.
func (s *sessionCache) invalidate(p health.Path, t health.Target) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.entries, sessionKey{p, t})
}
