package endpoint

import (
	"crypto/tls"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"time"
)

// certificateLoader is what the endpoint shows in TLS. It is read again when its files have changed; while they do not fit
// each other, as in the middle of a renewal, the last that did is shown.
type certificateLoader struct {
	cert, key string
	log       *slog.Logger
	mu        sync.Mutex
	pair      *tls.Certificate
	versions  [2]fileVersion // of the files when they were last read
}

// fileVersion changes when a file does.
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
		c.log.Warn("the endpoint keeps its old certificate", "err", err)
	}
	return c.pair, nil
}

func (c *certificateLoader) load() (*tls.Certificate, error) {
	pair, err := tls.LoadX509KeyPair(c.cert, c.key)
	if err != nil {
		return nil, fmt.Errorf("read the certificate %s and its key %s: %w", c.cert, c.key, err)
	}
	return &pair, nil
}
