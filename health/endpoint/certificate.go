package endpoint

import (
	"crypto/tls"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"time"
)

// certificate is what the endpoint shows in TLS. It is read again when its files have changed; while they do not fit
// each other, as in the middle of a renewal, the last that did is shown.
type certificate struct {
	cert, key string
	log       *slog.Logger
	mu        sync.Mutex
	pair      *tls.Certificate
	read      [2]stamp // of the files when they were last read
}

// stamp changes when a file does.
type stamp struct {
	at   time.Time
	size int64
}

func stampOf(path string) stamp {
	info, err := os.Stat(path)
	if err != nil {
		return stamp{}
	}
	return stamp{info.ModTime(), info.Size()}
}

func (c *certificate) get(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := [2]stamp{stampOf(c.cert), stampOf(c.key)}
	if c.pair != nil && now == c.read {
		return c.pair, nil
	}
	c.read = now
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

func (c *certificate) load() (*tls.Certificate, error) {
	pair, err := tls.LoadX509KeyPair(c.cert, c.key)
	if err != nil {
		return nil, fmt.Errorf("read the certificate %s and its key %s: %w", c.cert, c.key, err)
	}
	return &pair, nil
}
