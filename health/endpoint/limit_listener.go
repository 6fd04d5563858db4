package endpoint

import (
	"context"
	"crypto/tls"
	"net"
	"net/http"
	"slices"
	"sync"
)

// limitListener is a listener with at most max open connections. A new connection beyond that displaces the one that has
// been idle longest, so that silent clients cannot lock others out. If none is idle, the new connection is closed.
type limitListener struct {
	net.Listener
	max   int
	mu    sync.Mutex
	conns []*limitedConn // the one that was accepted or served longest ago first
}

// limitedConn is a connection of a limitListener.
type limitedConn struct {
	net.Conn
	listener *limitListener
	active   bool // a request is being served
}

func newLimitListener(l net.Listener, max int) *limitListener {
	return &limitListener{Listener: l, max: max}
}

// Accept returns the next connection that there is room for.
func (c *limitListener) Accept() (net.Conn, error) {
	for {
		conn, err := c.Listener.Accept()
		if err != nil {
			return nil, err
		}
		if g := c.admit(conn); g != nil {
			return g, nil
		}
		conn.Close()
	}
}

// admit adds the connection, or returns nil if all are active.
func (c *limitListener) admit(conn net.Conn) *limitedConn {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.conns) >= c.max {
		i := slices.IndexFunc(c.conns, func(g *limitedConn) bool { return !g.active })
		if i < 0 {
			return nil
		}
		c.conns[i].Conn.Close()
		c.conns = slices.Delete(c.conns, i, i+1)
	}
	g := &limitedConn{Conn: conn, listener: c}
	c.conns = append(c.conns, g)
	return g
}

// Close closes the connection and frees its place.
func (g *limitedConn) Close() error {
	c := g.listener
	c.mu.Lock()
	if i := slices.Index(c.conns, g); i >= 0 {
		c.conns = slices.Delete(c.conns, i, i+1)
	}
	c.mu.Unlock()
	return g.Conn.Close()
}

// setActive records whether a request is being served on the connection. After one it is the last to be displaced.
func (g *limitedConn) setActive(active bool) {
	c := g.listener
	c.mu.Lock()
	defer c.mu.Unlock()
	g.active = active
	if i := slices.Index(c.conns, g); i >= 0 && !active {
		c.conns = append(slices.Delete(c.conns, i, i+1), g)
	}
}

type connKey struct{}

// withConn adds the connection to the context of its requests.
func withConn(ctx context.Context, conn net.Conn) context.Context {
	if t, ok := conn.(*tls.Conn); ok {
		conn = t.NetConn()
	}
	return context.WithValue(ctx, connKey{}, conn)
}

// trackActive marks a connection as active while its requests are served.
func (c *limitListener) trackActive(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if g, ok := r.Context().Value(connKey{}).(*limitedConn); ok {
			g.setActive(true)
			defer g.setActive(false)
		}
		next.ServeHTTP(w, r)
	})
}
