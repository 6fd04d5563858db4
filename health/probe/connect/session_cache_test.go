package connect

import (
	"bufio"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"io"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"replypath/health"
)

const host = "page.example"

// newCertificate returns a self-signed certificate for the host with that lifetime.
func newCertificate(t *testing.T, lifetime time.Duration) tls.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotBefore: time.Now(), NotAfter: time.Now().Add(lifetime),
		DNSNames: []string{host}, IsCA: true, BasicConstraintsValid: true}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

// trustCertificates makes the certificates the process's only authorities. It works once in a process.
func trustCertificates(t *testing.T, certificates ...tls.Certificate) {
	t.Helper()
	var text []byte
	for _, c := range certificates {
		text = append(text, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.Certificate[0]})...)
	}
	file := filepath.Join(t.TempDir(), "authorities.pem")
	if err := os.WriteFile(file, text, 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("SSL_CERT_FILE", file)
	t.Setenv("SSL_CERT_DIR", "/dev/null")
}

// bufferedConn is a connection whose Write does not block for the first hundred calls.
type bufferedConn struct {
	net.Conn
	out chan []byte
}

func newBufferedConn(c net.Conn) bufferedConn {
	r := bufferedConn{c, make(chan []byte, 100)}
	go func() {
		defer c.Close()
		for b := range r.out {
			_, _ = c.Write(b) // the peer may have closed the connection
		}
	}()
	return r
}

func (r bufferedConn) Write(b []byte) (int, error) {
	r.out <- slices.Clone(b)
	return len(b), nil
}

func (r bufferedConn) Close() error {
	close(r.out)
	return nil
}

// server accepts its session tickets whichever certificate it presents.
type server struct{ keys [][32]byte }

// request sends one request to the server, which presents the certificate.
func (s server) request(t *testing.T, cache *sessionCache, c tls.Certificate) (resumed bool, err error) {
	t.Helper()
	clientEnd, serverPipe := net.Pipe()
	serverEnd := newBufferedConn(serverPipe)
	go func() {
		defer serverEnd.Close()
		config := &tls.Config{Certificates: []tls.Certificate{c}}
		config.SetSessionTicketKeys(s.keys)
		c := tls.Server(serverEnd, config)
		if _, err := http.ReadRequest(bufio.NewReader(c)); err == nil {
			io.WriteString(c, "HTTP/1.1 204 No Content\r\n\r\n")
		}
	}()
	defer clientEnd.Close()
	r, err := http.NewRequest(http.MethodGet, "https://"+host, nil)
	if err != nil {
		t.Fatal(err)
	}
	client := tls.Client(clientEnd, cache.config(health.Path{}, health.Target{}, host))
	_, err = exchange(client, r)
	return client.ConnectionState().DidResume, err
}

func TestResumedSessionVerifiesTheCertificateAgainAfterItsLifetime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		right, short, wrong := newCertificate(t, 24*time.Hour), newCertificate(t, 24*time.Hour+Lifetime/2), newCertificate(t, 48*time.Hour)
		trustCertificates(t, right, short)
		s, cache := server{[][32]byte{{1}}}, newSessionCache()
		want := func(presented tls.Certificate, resumes, fails bool, why string) {
			t.Helper()
			if resumed, err := s.request(t, cache, presented); resumed != resumes || (err != nil) != fails {
				t.Errorf("%s: resumed %v, %v", why, resumed, err)
			}
		}
		want(right, false, false, "the first request")
		for range 3 { // each connection resumes the ticket of the previous one
			time.Sleep(Lifetime / 4)
			want(wrong, true, false, "a resumed session")
		}
		time.Sleep(Lifetime / 4)
		want(wrong, false, true, "after the lifetime")
		cache.invalidate(health.Path{}, health.Target{})
		want(right, false, false, "the trusted certificate again")
		want(wrong, true, false, "a resumed session")
		cache.invalidate(health.Path{}, health.Target{})
		want(wrong, false, true, "after a failure")
		cache.invalidate(health.Path{}, health.Target{})

		time.Sleep(24*time.Hour - Lifetime)
		want(short, false, false, "shortly before the certificate expires")
		time.Sleep(Lifetime/2 - time.Second)
		want(short, true, false, "one second before it expires")
		time.Sleep(2 * time.Second)
		want(short, false, true, "after it has expired")
		if len(cache.entries) != 1 {
			t.Errorf("%d sessions are cached, want 1", len(cache.entries))
		}
	})
}
