package firsthop

import (
	"sync"
)

// hardwareCache has the hardware addresses of the links of this host, as long as no link changes. Safe for concurrent use.
type hardwareCache struct {
	read func(link string) ([]byte, error)

	mu      sync.Mutex
	changes *linkChanges // nil: it could not be opened, and nothing is kept
	byLink  map[string][]byte
}

// newHardwareCache returns a cache of what read returns.
func newHardwareCache(read func(link string) ([]byte, error)) *hardwareCache {
	changes, err := openLinkChanges()
	if err != nil {
		changes = nil
	}
	return &hardwareCache{read: read, changes: changes, byLink: map[string][]byte{}}
}

// refresh forgets the addresses if a link may have changed. It is called before each batch of probes.
func (c *hardwareCache) refresh() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.changes == nil || c.changes.seen() {
		clear(c.byLink)
	}
}

// get returns the hardware address of the link; nil when its type has none.
func (c *hardwareCache) get(link string) ([]byte, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if address, found := c.byLink[link]; found {
		return address, nil
	}
	address, err := c.read(link)
	if err == nil {
		c.byLink[link] = address
	}
	return address, err
}

// Close closes the socket.
func (c *hardwareCache) Close() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.changes != nil {
		c.changes.Close()
	}
	c.changes = nil
}
