package endpoint

import (
	"context"
	"crypto/tls"
	"net"
	"net/http"
	"slices"
	"sync"
)

// crowd is a listener that keeps as many connections as there is room for. When there is none, whoever has been waiting
// longest without a whole request makes room: no number of silent clients keeps a newcomer out. When everybody is being
// answered, the newcomer is turned away.
type crowd struct {
	net.Listener
	mu     sync.Mutex
	guests []*guest // in the order in which they came, or were last answered
}

// guest is a connection.
type guest struct {
	net.Conn
	crowd    *crowd
	answered bool // is being answered now
}

func newCrowd(l net.Listener) *crowd { return &crowd{Listener: l} }

// Accept waits for a connection for which there is room.
func (c *crowd) Accept() (net.Conn, error) {
	for {
		conn, err := c.Listener.Accept()
		if err != nil {
			return nil, err
		}
		if g := c.enter(conn); g != nil {
			return g, nil
		}
		conn.Close()
	}
}

func (c *crowd) enter(conn net.Conn) *guest {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.guests) >= connections {
		i := slices.IndexFunc(c.guests, func(g *guest) bool { return !g.answered })
		if i < 0 {
			return nil
		}
		c.guests[i].Conn.Close()
		c.guests = slices.Delete(c.guests, i, i+1)
	}
	g := &guest{Conn: conn, crowd: c}
	c.guests = append(c.guests, g)
	return g
}

// Close closes the connection and makes room.
func (g *guest) Close() error {
	c := g.crowd
	c.mu.Lock()
	if i := slices.Index(c.guests, g); i >= 0 {
		c.guests = slices.Delete(c.guests, i, i+1)
	}
	c.mu.Unlock()
	return g.Conn.Close()
}

// answer notes whether the guest is being answered. One who has been answered waits at the end of the line.
func (g *guest) answer(now bool) {
	c := g.crowd
	c.mu.Lock()
	defer c.mu.Unlock()
	g.answered = now
	if i := slices.Index(c.guests, g); i >= 0 && !now {
		c.guests = append(slices.Delete(c.guests, i, i+1), g)
	}
}

type guestKey struct{}

// withGuest lets a request know its guest.
func withGuest(ctx context.Context, conn net.Conn) context.Context {
	if t, ok := conn.(*tls.Conn); ok {
		conn = t.NetConn()
	}
	return context.WithValue(ctx, guestKey{}, conn)
}

// attend keeps the place of whoever is being answered.
func (c *crowd) attend(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if g, ok := r.Context().Value(guestKey{}).(*guest); ok {
			g.answer(true)
			defer g.answer(false)
		}
		next.ServeHTTP(w, r)
	})
}
