package endpoint

import (
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"sync"
	"time"

	"replypath/health/trustedfile"
)

// certificateLoader returns the TLS certificate, and reads it again when its files have changed. While certificate and key do
// not match, as during a renewal, the last pair that did is used.
type certificateLoader struct {
	cert, key string
	log       *slog.Logger
	mu        sync.Mutex
	pair      *tls.Certificate
	versions  [2]fileVersion // of both files when they were last read
}

// fileVersion tells versions of a file apart. It is zero if the file cannot be read.
type fileVersion struct {
	modified time.Time
	size     int64
}

func fileVersionOf(path string) fileVersion {
	info, err := os.Stat(path)
	if err != nil {
		return fileVersion{}
	}
	return fileVersion{info.ModTime(), info.Size()}
}

// getCertificate implements tls.Config.GetCertificate.
func (c *certificateLoader) getCertificate(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := [2]fileVersion{fileVersionOf(c.cert), fileVersionOf(c.key)}
	if c.pair != nil && now == c.versions {
		return c.pair, nil
	}
	c.versions = now
	pair, err := c.load()
	switch {
	case err == nil:
		c.pair = pair
	case c.pair == nil:
		return nil, err
	default:
		c.log.Warn("endpoint keeps its old certificate: the new one cannot be loaded", "err", err)
	}
	return c.pair, nil
}

// notAfter returns when the certificate expires, the zero Time if it cannot be loaded.
func (c *certificateLoader) notAfter() time.Time {
	pair, err := c.getCertificate(nil)
	if err != nil || pair.Leaf == nil {
		return time.Time{}
	}
	return pair.Leaf.NotAfter
}

func (c *certificateLoader) load() (*tls.Certificate, error) {
	cert, certErr := readPEM(c.cert)
	key, keyErr := readPEM(c.key)
	err := errors.Join(certErr, keyErr)
	if err == nil {
		var pair tls.Certificate
		if pair, err = tls.X509KeyPair(cert, key); err == nil {
			return &pair, nil
		}
	}
	return nil, fmt.Errorf("load certificate %s and key %s: %w", c.cert, c.key, err)
}

// maxPEMSize limits the file of a certificate with its chain, or of a key, in bytes.
const maxPEMSize = 1 << 20

func readPEM(path string) ([]byte, error) {
	f, err := trustedfile.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(io.LimitReader(f, maxPEMSize))
}
