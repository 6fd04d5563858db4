package endpoint

import (
	"context"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"replypath/health"
)

const peerToken = "0123456789abcdef0123456789abcdef"

// startPeer starts a server that has a fingerprint, with a token and TLS, and returns the settings to read it.
func startPeer(t *testing.T) (*testServer, health.PeerSettings) {
	t.Helper()
	dir := t.TempDir()
	writeCertificate(t, dir, 1)
	writeFile(t, filepath.Join(dir, "token"), peerToken)
	s := startServer(t, health.EndpointSettings{Listen: anyPort, TokenFile: filepath.Join(dir, "token"), CertFile: filepath.Join(dir, "cert"), KeyFile: filepath.Join(dir, "key")})
	s.awaitListening(t)
	s.update(func(h *health.Status) { h.Fingerprint = &health.Fingerprint{Value: "c0ffee", Mask: "0x1f00"} })
	return s, health.PeerSettings{URL: strings.Replace(s.base, "http:", "https:", 1), TokenFile: filepath.Join(dir, "token"), CAFile: filepath.Join(dir, "cert")}
}

func TestFingerprintIsReadWithTokenAndTLS(t *testing.T) {
	_, peer := startPeer(t)
	f, err := FetchFingerprint(t.Context(), peer)
	if err != nil || f.Value != "c0ffee" || f.Mask != "0x1f00" {
		t.Errorf("%+v, %v", f, err)
	}
}

func TestFingerprintIsRefused(t *testing.T) {
	s, peer := startPeer(t)
	dir := t.TempDir()
	writeFile(t, filepath.Join(dir, "token"), strings.Repeat("x", 32))
	writeCertificate(t, dir, 2)
	writeFile(t, filepath.Join(dir, "empty"), "")
	redirect := httptest.NewServer(http.RedirectHandler(peer.URL, http.StatusFound))
	t.Cleanup(redirect.Close)
	other := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("{}")) }))
	t.Cleanup(other.Close)
	closed := netip.AddrPortFrom(netip.MustParseAddr("127.0.0.1"), 1)
	for _, c := range []struct {
		change func(*health.PeerSettings)
		want   string
	}{
		{func(p *health.PeerSettings) { p.TokenFile = "" }, "refuses the token"},
		{func(p *health.PeerSettings) { p.TokenFile = filepath.Join(dir, "token") }, "refuses the token"},
		{func(p *health.PeerSettings) { p.TokenFile = filepath.Join(dir, "missing") }, "no such file"},
		{func(p *health.PeerSettings) { p.CAFile = "" }, "certificate"},
		{func(p *health.PeerSettings) { p.CAFile = filepath.Join(dir, "cert") }, "certificate"},
		{func(p *health.PeerSettings) { p.CAFile = filepath.Join(dir, "empty") }, "no certificate in PEM format"},
		{func(p *health.PeerSettings) { p.URL = s.base }, "HTTP"},
		{func(p *health.PeerSettings) { p.URL = redirect.URL }, "302"},
		{func(p *health.PeerSettings) { p.URL = other.URL }, "is no fingerprint"},
		{func(p *health.PeerSettings) { p.URL = "http://" + closed.String() }, "refused"},
	} {
		tried := peer
		c.change(&tried)
		_, err := FetchFingerprint(t.Context(), tried)
		if err == nil || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), tried.URL) || strings.Contains(err.Error(), peerToken) {
			t.Errorf("%+v: %v, want %q", tried, err, c.want)
		}
	}
}

func TestFingerprintOfAStartingServiceIsUnavailable(t *testing.T) {
	s, peer := startPeer(t)
	s.update(func(h *health.Status) { h.Fingerprint = nil })
	if _, err := FetchFingerprint(t.Context(), peer); err == nil || !strings.Contains(err.Error(), "starting") {
		t.Error(err)
	}
}

func TestFingerprintOfASilentPeerIsGivenUp(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	silent := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		cancel()
		<-r.Context().Done()
	}))
	t.Cleanup(silent.Close)
	if _, err := FetchFingerprint(ctx, health.PeerSettings{URL: silent.URL}); err == nil {
		t.Error("a peer that does not answer has a fingerprint")
	}
}

func TestTokenOfThePeerMustBePrivate(t *testing.T) {
	_, peer := startPeer(t)
	if err := os.Chmod(peer.TokenFile, 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := FetchFingerprint(t.Context(), peer); err == nil || !strings.Contains(err.Error(), "chmod 600") {
		t.Error(err)
	}
}
