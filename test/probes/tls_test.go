package probes

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"math/big"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"replypath/health"
	"replypath/test/box"
	"replypath/test/world"
	"replypath/uplinks"
)

// tlsServer serves by TLS, with a certificate that can be changed.
type tlsServer struct {
	config      *tls.Config
	certificate atomic.Pointer[tls.Certificate]
	resumed     atomic.Int32 // connections that the certificate was not shown to
}

func newTLSServer(shows *tls.Certificate) *tlsServer {
	p := &tlsServer{}
	p.certificate.Store(shows)
	p.config = &tls.Config{
		GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return p.certificate.Load(), nil },
		VerifyConnection: func(c tls.ConnectionState) error {
			if c.DidResume {
				p.resumed.Add(1)
			}
			return nil
		},
	}
	return p
}

// restart makes the server reject earlier session tickets, as after a change of its certificate.
func (p *tlsServer) restart(t *testing.T, shows *tls.Certificate) {
	t.Helper()
	var key [32]byte
	if _, err := rand.Read(key[:]); err != nil {
		t.Fatal(err)
	}
	p.certificate.Store(shows)
	p.config.SetSessionTicketKeys([][32]byte{key})
}

func httpsTarget(to netip.Addr) health.Target {
	return health.Target{Kind: health.HTTP, URL: "https://" + netip.AddrPortFrom(to, 443).String() + "/"}
}

func TestHTTPSProbeVerifiesTheCertificate(t *testing.T) {
	b := box.New(t, box.Conditions{RPFilter: 1}.Build(t, 2, world.Options{}))
	right, authority := selfSigned(t, b.Client4.AsSlice(), b.Client6.AsSlice())
	wrong, _ := selfSigned(t, b.Client4.AsSlice(), b.Client6.AsSlice())
	b.Apply()
	file := filepath.Join(b.Dir, "authority.pem")
	if err := os.WriteFile(file, authority, 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("SSL_CERT_DIR", "/dev/null")
	t.Setenv("SSL_CERT_FILE", "/dev/null")
	strict := startProber(b)
	t.Setenv("SSL_CERT_FILE", file)
	a, u := startProber(b), b.Uplinks[1]
	for f, network := range map[uplinks.Family]string{uplinks.IPv4: "tcp4", uplinks.IPv6: "tcp6"} {
		server := newTLSServer(right)
		serveOn(t, b.Client, network, 443, server.config)
		e := newProbe(probePath(u, f), httpsTarget(clientAddrIn(b, f)), replyTimeout)
		wire := u.Wire.Record(func(p world.Packet) bool { return p.Dst == clientAddrIn(b, f) && p.Flags == world.SYN })
		for range 3 {
			a.wantReply(e)
		}
		strict.wantError(e, "certificate")
		b.Settle()
		connections := map[uint16]bool{}
		for _, p := range wire.Packets() {
			connections[p.SrcPort] = true
		}
		if len(connections) != 4 || server.resumed.Load() != 2 {
			t.Errorf("%s: 4 questions take %d connections; %d are resumed, not 2", f, len(connections), server.resumed.Load())
		}
		server.restart(t, wrong)
		a.wantError(e, "certificate")
		server.restart(t, right)
		a.wantReply(e)
		a.wantReply(e)
		if n := server.resumed.Load(); n != 3 {
			t.Errorf("%s: after the failure %d are resumed, not 1 more than 2", f, n)
		}
	}
	a.stop()
	strict.stop()
}

// selfSigned makes a certificate for the addresses that is its own authority.
func selfSigned(t testing.TB, addrs ...net.IP) (*tls.Certificate, []byte) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: addrs, IsCA: true, BasicConstraintsValid: true}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	return &tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
}
