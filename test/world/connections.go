package world

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"time"
)

// Connections are established TCP connections to a service of ServeTCP.
type Connections struct{ open []connection }

type connection struct {
	conn   *net.TCPConn
	reader *bufio.Reader
}

// Connect establishes n connections. Of the request, To, From's address and Timeout count.
func (h *Host) Connect(q Request, n int) (*Connections, error) {
	cs := &Connections{}
	h.world.atEnd(cs.Close)
	for i := range n {
		conn, r, err := h.greeted(q)
		if err != nil {
			return cs, fmt.Errorf("connection %d: %w", i, err)
		}
		cs.open = append(cs.open, connection{conn, r})
	}
	return cs, nil
}

// Alive returns the number of connections on which a byte comes back within the time.
func (cs *Connections) Alive(within time.Duration) int {
	var alive atomic.Int64
	var writers sync.WaitGroup
	deadline := time.Now().Add(within)
	for _, c := range cs.open {
		writers.Go(func() {
			c.conn.SetDeadline(deadline)
			if _, err := c.conn.Write([]byte{'?'}); err != nil {
				return
			}
			if _, err := c.reader.ReadByte(); err == nil {
				alive.Add(1)
			}
		})
	}
	writers.Wait()
	return int(alive.Load())
}

// Close closes the connections.
func (cs *Connections) Close() {
	for _, c := range cs.open {
		c.conn.Close()
	}
}

// Transfer sends so many bytes to a service of ServeTCP, and is answered when all have come back.
func (h *Host) Transfer(q Request, bytes int) (a Reply) {
	began := time.Now()
	defer func() { a.Took = time.Since(began) }()
	conn, r, err := h.greeted(q)
	if err != nil {
		return Reply{Err: err}
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(q.timeout()))
	var sent sync.WaitGroup
	sent.Go(func() { conn.Write(make([]byte, bytes)) })
	n, err := io.CopyN(io.Discard, r, int64(bytes))
	if err != nil {
		conn.Close()
		a.Err = fmt.Errorf("%d of %d bytes came back: %w", n, bytes, err)
	}
	sent.Wait()
	a.OK, a.From, a.Size = err == nil, q.To, int(n)
	return a
}
