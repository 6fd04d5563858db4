package endpoint

import (
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"os"
	"strings"
	"sync"

	"replypath/health"
)

// restrictAccess passes on requests that only read, and that present the token. Without a token the Host must be an address
// or a name of this host, which stops DNS rebinding: a foreign web page whose name resolves to this endpoint. A request without
// Host is of no browser: health checks of load balancers in HTTP/1.0 have none.
func restrictAccess(settings health.EndpointSettings, log *slog.Logger, next http.Handler) http.Handler {
	auth := &tokenAuth{file: settings.TokenFile, log: log}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Cache-Control", "no-store")
		h.Set("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'")
		h.Set("Cross-Origin-Resource-Policy", "same-origin")
		h.Set("Referrer-Policy", "no-referrer")
		h.Set("X-Content-Type-Options", "nosniff")
		switch {
		case r.Method != http.MethodGet && r.Method != http.MethodHead:
			h.Set("Allow", "GET, HEAD")
			http.Error(w, "this endpoint is read-only: use GET or HEAD", http.StatusMethodNotAllowed)
		case settings.TokenFile != "" && !auth.authorize(w, r):
		case settings.TokenFile == "" && r.Host != "" && !isLocalName(r.Host):
			http.Error(w, fmt.Sprintf("%q is not a name of this host: use its address or localhost, or set a token_file", r.Host), http.StatusMisdirectedRequest)
		default:
			next.ServeHTTP(w, r)
		}
	})
}

// isLocalName reports whether no foreign web page can have this host name: an address, localhost, or the host's own name.
func isLocalName(host string) bool {
	name, _, err := net.SplitHostPort(host)
	if err != nil {
		name = host
	}
	name = strings.TrimSuffix(strings.TrimPrefix(name, "["), "]")
	if _, err := netip.ParseAddr(name); err == nil {
		return true
	}
	hostname, err := os.Hostname()
	return strings.EqualFold(name, "localhost") || err == nil && strings.EqualFold(name, hostname)
}

// tokenAuth checks the token. It reads the file for every request, so that a new token is valid at once.
type tokenAuth struct {
	file    string
	log     *slog.Logger
	mu      sync.Mutex
	lastErr string // of the last request; each error is logged once
}

// authorize reports whether the request presents the token, and otherwise answers it with an error.
func (d *tokenAuth) authorize(w http.ResponseWriter, r *http.Request) bool {
	token, err := readToken(d.file)
	d.logChange(err)
	switch {
	case err != nil:
		http.Error(w, "the token cannot be checked: see the log of replypath", http.StatusServiceUnavailable)
	case !presentsToken(r, token):
		w.Header().Add("WWW-Authenticate", `Bearer realm="replypath"`)
		w.Header().Add("WWW-Authenticate", `Basic realm="replypath", charset="UTF-8"`) // makes browsers prompt for it
		http.Error(w, errUnauthorized.Error(), http.StatusUnauthorized)
	default:
		return true
	}
	return false
}

// logChange logs an error that differs from the last one.
func (d *tokenAuth) logChange(err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	text := ""
	if err != nil {
		text = err.Error()
	}
	if text != d.lastErr && err != nil {
		d.log.Error("endpoint refuses all requests: token file unusable", "err", err)
	}
	d.lastErr = text
}
