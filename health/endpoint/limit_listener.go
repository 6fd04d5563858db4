package endpoint

import (
	"context"
	"crypto/tls"
	"net"
	"net/http"
	"slices"
	"sync"
)

// limitListener is a listener that keeps as many connections as there is room for. When there is none, whoever has been waiting
// longest without a whole request makes room: no number of silent clients keeps a newcomer out. When everybody is being
// answered, the newcomer is turned away.
type limitListener struct {
	net.Listener
	mu    sync.Mutex
	conns []*limitedConn // in the order in which they came, or were last answered
}

// limitedConn is a connection.
type limitedConn struct {
	net.Conn
	listener *limitListener
	active   bool // is being answered now
}

func newLimitListener(l net.Listener) *limitListener { return &limitListener{Listener: l} }

// Accept waits for a connection for which there is room.
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

func (c *limitListener) admit(conn net.Conn) *limitedConn {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.conns) >= maxConns {
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

// Close closes the connection and makes room.
func (g *limitedConn) Close() error {
	c := g.listener
	c.mu.Lock()
	if i := slices.Index(c.conns, g); i >= 0 {
		c.conns = slices.Delete(c.conns, i, i+1)
	}
	c.mu.Unlock()
	return g.Conn.Close()
}

// setActive notes whether the guest is being answered. One who has been answered waits at the end of the line.
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

// withConn lets a request know its guest.
func withConn(ctx context.Context, conn net.Conn) context.Context {
	if t, ok := conn.(*tls.Conn); ok {
		conn = t.NetConn()
	}
	return context.WithValue(ctx, connKey{}, conn)
}

// trackActive keeps the place of whoever is being answered.
func (c *limitListener) trackActive(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if g, ok := r.Context().Value(connKey{}).(*limitedConn); ok {
			g.setActive(true)
			defer g.setActive(false)
		}
		next.ServeHTTP(w, r)
	})
}
