package world

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"syscall"
	"time"
)

// dial opens a TCP connection from the host.
func (h *Host) dial(q Request) (c *net.TCPConn, err error) {
	ctx, stop := context.WithTimeout(h.world.ctx, q.timeout())
	defer stop()
	dialer := net.Dialer{}
	dialer.SetMultipathTCP(false)
	if local, ok := q.local(); ok {
		dialer.LocalAddr = net.TCPAddrFromAddrPort(local)
	}
	var conn net.Conn
	h.Do(func() { conn, err = dialer.DialContext(ctx, network("tcp", q.To.Addr()), q.To.String()) })
	if err != nil {
		return nil, err
	}
	return conn.(*net.TCPConn), nil
}

func (h *Host) sendTCP(q Request) (a Reply) {
	c, err := h.dial(q)
	if q.Kind == KindClosedTCP {
		return closedTCP(q, c, err)
	}
	if err != nil {
		a.Err = err
		return a
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(q.timeout()))
	greeting, err := readHello(bufio.NewReader(c))
	if err != nil {
		a.Err = fmt.Errorf("connected, but: %w", err)
		return a
	}
	a.From = c.RemoteAddr().(*net.TCPAddr).AddrPort()
	a.Host, a.Local, a.Peer, a.Size = greeting.host, greeting.local, greeting.peer, len(greeting.String())
	return a.check(q)
}

func closedTCP(q Request, c *net.TCPConn, err error) (a Reply) {
	switch {
	case err == nil:
		c.Close()
		a.Err = fmt.Errorf("%s is not closed", q.To)
	case errors.Is(err, syscall.ECONNREFUSED):
		a.OK, a.From = true, q.To
	default:
		a.Err = err
	}
	return a
}

func readHello(r *bufio.Reader) (hello, error) {
	line, err := r.ReadBytes('\n')
	if err != nil {
		return hello{}, err
	}
	return parseHello(line)
}
