package connect

import (
	"crypto/tls"
	"maps"
	"sync"
	"time"

	"replypath/health"
)

// Lifetime bounds how long a TLS session is resumed. A resumed handshake carries no certificate: a server that still accepts
// old tickets although its certificate was replaced is detected after Lifetime. A certificate that expires is detected at
// once.
const Lifetime = time.Minute

// sessionCache holds one TLS session for each path and target. A resumed handshake does not verify the certificate, which is
// the most expensive part of a probe.
type sessionCache struct {
	mu      sync.Mutex
	entries map[sessionKey]cachedSession
}

type sessionKey struct {
	path   health.Path // through another interface or mark another server may answer
	target health.Target
}

type cachedSession struct {
	config  *tls.Config // holds the session tickets
	created time.Time   // when the certificate was verified
}

func newSessionCache() *sessionCache { return &sessionCache{entries: map[sessionKey]cachedSession{}} }

// config returns the TLS configuration for the next connection to the host.
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

// newTLSConfig returns a configuration with a session of its own. A probe sends no secrets, so the post-quantum key exchanges
// are left out: they would be a sixth of its cost.
func newTLSConfig(host string) *tls.Config {
	return &tls.Config{
		ServerName:         host,
		ClientSessionCache: tls.NewLRUClientSessionCache(1),
		CurvePreferences:   []tls.CurveID{tls.X25519, tls.CurveP256, tls.CurveP384, tls.CurveP521},
	}
}

func fresh(s cachedSession) bool { return time.Since(s.created) < Lifetime }

// invalidate drops the session after a failure, so that the next probe verifies the certificate.
func (s *sessionCache) invalidate(p health.Path, t health.Target) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.entries, sessionKey{p, t})
}
