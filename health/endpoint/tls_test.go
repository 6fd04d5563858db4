package endpoint

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
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
	"replypath/health/healthtest"
)

// writeCertificate writes a self-signed certificate with this serial number, and its key.
func writeCertificate(t *testing.T, dir string, serial int64) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(serial), NotAfter: time.Now().Add(time.Hour), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}}
	cert, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	secret, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	for name, block := range map[string]*pem.Block{"cert": {Type: "CERTIFICATE", Bytes: cert}, "key": {Type: "PRIVATE KEY", Bytes: secret}} {
		writeFile(t, filepath.Join(dir, name), string(pem.EncodeToMemory(block)))
	}
}

// handshake returns the serial number of the server's certificate.
func (s *testServer) handshake(t *testing.T, c *tls.Config) (int64, error) {
	t.Helper()
	c.InsecureSkipVerify = true
	conn, err := tls.Dial("tcp", strings.TrimPrefix(s.base, "http://"), c)
	if err != nil {
		return 0, err
	}
	defer conn.Close()
	if p := conn.ConnectionState().NegotiatedProtocol; p != "" {
		t.Errorf("negotiated %s", p)
	}
	return conn.ConnectionState().PeerCertificates[0].SerialNumber.Int64(), nil
}

func TestCertificateIsReloadedWhileServing(t *testing.T) {
	dir := t.TempDir()
	writeCertificate(t, dir, 1)
	s := startServer(t, health.EndpointSettings{Listen: anyPort, CertFile: filepath.Join(dir, "cert"), KeyFile: filepath.Join(dir, "key")})
	s.awaitListening(t)
	expectSerial := func(want int64) {
		t.Helper()
		if got, err := s.handshake(t, &tls.Config{}); err == nil && got != want {
			t.Errorf("serial number %d, want %d", got, want)
		} else if err != nil {
			t.Error(err)
		}
	}
	expectSerial(1)
	old, err := os.ReadFile(filepath.Join(dir, "key"))
	if err != nil {
		t.Fatal(err)
	}
	writeCertificate(t, dir, 2)
	expectSerial(2)
	writeFile(t, filepath.Join(dir, "key"), string(old))
	expectSerial(2)
	expectContains(t, s.log.String(), "keeps its old certificate")
	writeCertificate(t, dir, 3)
	expectSerial(3)
}

func TestTLS12IsTheMinimum(t *testing.T) {
	dir := t.TempDir()
	writeCertificate(t, dir, 1)
	s := startServer(t, health.EndpointSettings{Listen: anyPort, CertFile: filepath.Join(dir, "cert"), KeyFile: filepath.Join(dir, "key")})
	s.awaitListening(t)
	for version, good := range map[uint16]bool{tls.VersionTLS10: false, tls.VersionTLS11: false, tls.VersionTLS12: true, tls.VersionTLS13: true} {
		_, err := s.handshake(t, &tls.Config{MinVersion: tls.VersionTLS10, MaxVersion: version})
		if (err == nil) != good {
			t.Errorf("%s: %v", tls.VersionName(version), err)
		}
	}
	if got := firstLine(t, s.dial(t, "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")); got != "HTTP/1.0 400 Bad Request" {
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

// Another user could let the service read a key, or show a certificate, of its choice.
func TestCertificateThatAnotherUserCanExchangeIsRefused(t *testing.T) {
	for _, name := range []string{"cert", "key"} {
		dir := t.TempDir()
		writeCertificate(t, dir, 1)
		loader := &certificateLoader{cert: filepath.Join(dir, "cert"), key: filepath.Join(dir, "key")}
		if _, err := loader.load(); err != nil {
			t.Fatal(err)
		}
		path := filepath.Join(dir, name)
		if err := errors.Join(os.Rename(path, path+"-real"), os.Symlink(path+"-real", path), os.Lchown(path, 12345, 0)); err != nil {
			t.Fatal(err)
		}
		if _, err := loader.load(); err == nil || !strings.Contains(err.Error(), path+" belongs to user 12345") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestUnreadableCertificateIsLogged(t *testing.T) {
	dir := t.TempDir()
	s := startServer(t, health.EndpointSettings{Listen: anyPort, CertFile: filepath.Join(dir, "cert"), KeyFile: filepath.Join(dir, "key")})
	healthtest.WaitFor(t, "the error is logged", func() bool { return strings.Contains(s.log.String(), "load certificate") })
	writeCertificate(t, dir, 1)
	s.awaitListening(t)
}
