package endpoint

import (
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
	"strings"
	"testing"
	"time"

	"replypath/health"
)

// issue writes a certificate of its own with this number.
func issue(t *testing.T, dir string, number int64) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	form := &x509.Certificate{SerialNumber: big.NewInt(number), NotAfter: time.Now().Add(time.Hour), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}}
	cert, err := x509.CreateCertificate(rand.Reader, form, form, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	secret, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	for name, block := range map[string]*pem.Block{"cert": {Type: "CERTIFICATE", Bytes: cert}, "key": {Type: "PRIVATE KEY", Bytes: secret}} {
		rewrite(t, filepath.Join(dir, name), string(pem.EncodeToMemory(block)))
	}
}

// greet shakes hands and gives the number of the certificate that was shown.
func (s *site) greet(t *testing.T, c *tls.Config) (int64, error) {
	t.Helper()
	c.InsecureSkipVerify = true
	conn, err := tls.Dial("tcp", strings.TrimPrefix(s.base, "http://"), c)
	if err != nil {
		return 0, err
	}
	defer conn.Close()
	if p := conn.ConnectionState().NegotiatedProtocol; p != "" {
		t.Errorf("it speaks %s", p)
	}
	return conn.ConnectionState().PeerCertificates[0].SerialNumber.Int64(), nil
}

func TestCertificateIsRenewedWhileItServes(t *testing.T) {
	dir := t.TempDir()
	issue(t, dir, 1)
	s := start(t, health.Endpoint{Listen: anyPort, CertFile: filepath.Join(dir, "cert"), KeyFile: filepath.Join(dir, "key")})
	s.await(t)
	shows := func(want int64) {
		t.Helper()
		if got, err := s.greet(t, &tls.Config{}); err == nil && got != want {
			t.Errorf("it shows number %d, not %d", got, want)
		} else if err != nil {
			t.Error(err)
		}
	}
	shows(1)
	old, err := os.ReadFile(filepath.Join(dir, "key"))
	if err != nil {
		t.Fatal(err)
	}
	issue(t, dir, 2)
	shows(2)
	rewrite(t, filepath.Join(dir, "key"), string(old))
	shows(2)
	holds(t, s.log.String(), "keeps its old certificate")
	issue(t, dir, 3)
	shows(3)
}

func TestOnlyModernTLS(t *testing.T) {
	dir := t.TempDir()
	issue(t, dir, 1)
	s := start(t, health.Endpoint{Listen: anyPort, CertFile: filepath.Join(dir, "cert"), KeyFile: filepath.Join(dir, "key")})
	s.await(t)
	for version, good := range map[uint16]bool{tls.VersionTLS10: false, tls.VersionTLS11: false, tls.VersionTLS12: true, tls.VersionTLS13: true} {
		_, err := s.greet(t, &tls.Config{MinVersion: tls.VersionTLS10, MaxVersion: version})
		if (err == nil) != good {
			t.Errorf("%s: %v", tls.VersionName(version), err)
		}
	}
	if got := line(t, s.dial(t, "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")); got != "HTTP/1.0 400 Bad Request" {
		t.Errorf("without TLS: %s", got)
	}
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, ForceAttemptHTTP2: true}}
	answer, err := client.Get("https" + strings.TrimPrefix(s.base, "http") + "/healthz")
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	if body, _ := io.ReadAll(answer.Body); string(body) != "healthy\n" || answer.ProtoMajor != 1 {
		t.Errorf("%s %q", answer.Proto, body)
	}
}

func TestCertificateThatCannotBeReadIsTold(t *testing.T) {
	dir := t.TempDir()
	s := start(t, health.Endpoint{Listen: anyPort, CertFile: filepath.Join(dir, "cert"), KeyFile: filepath.Join(dir, "key")})
	until(t, "it is told", func() bool { return strings.Contains(s.log.String(), "read the certificate") })
	issue(t, dir, 1)
	s.await(t)
}
