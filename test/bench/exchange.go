package main

import (
	"fmt"
	"net/netip"
	"time"

	"golang.org/x/sys/unix"
)

// exchange is something that a client and a service do by real sockets.
type exchange struct {
	label  string
	lan    bool // the service is the LAN host's
	mode   byte // the first byte of a connection
	times  int
	within bool // one connection for all
}

// Modes of a connection: the service answers each byte, or only the end of what it gets.
const (
	answerEach = 'e'
	answerEnd  = 'b'
)

const bulk = 64 << 10 // bytes that are written at a time

var exchanges = []exchange{
	{"TCP bulk, forwarded, 64 KiB", true, answerEnd, 1000, true},
	{"TCP request and response, forwarded", true, answerEach, 2000, true},
	{"TCP request and response, the host's own", false, answerEach, 2000, true},
	{"TCP connect and close, forwarded", true, answerEach, 300, false},
	{"TCP connect and close, the host's own", false, answerEach, 300, false},
}

// cost does the exchange, with both ends on one CPU so that what the kernel does for them is done in their time.
func (x exchange) cost(g *gateway, f family, cpu int) time.Duration {
	at, port, server := f.own(g.lastIndex()), uint16(hostPort), g.host
	if x.lan {
		at, port, server = f.lan(), lanPort, g.lan
	}
	listener := listen(server, netip.AddrPortFrom(at, port))
	served := make(chan error, 1)
	go onCPU(cpu, func() { served <- x.serve(listener) })
	sent := make(chan error, 1)
	before := processTime()
	go onCPU(cpu, func() { sent <- x.transact(g, f, netip.AddrPortFrom(f.own(g.lastIndex()), port)) })
	must(<-sent, "%s, %s, %s", g.name, f, x.label)
	spent := processTime() - before
	unix.Shutdown(listener, unix.SHUT_RDWR)
	must(<-served, "%s, %s, %s", g.name, f, x.label)
	unix.Close(listener)
	return spent / time.Duration(x.times)
}

// transact does the client's part.
func (x exchange) transact(g *gateway, f family, to netip.AddrPort) error {
	connections, times := x.times, 1
	if x.within {
		connections, times = 1, x.times
	}
	for range connections {
		fd, err := dial(g.client, f.client(), to)
		if err != nil {
			return err
		}
		if _, err := unix.Write(fd, []byte{x.mode}); err != nil {
			return fmt.Errorf("write: %w", err)
		}
		if err := x.talk(fd, times); err != nil {
			return err
		}
		hangUp(fd)
	}
	return nil
}

func (x exchange) talk(fd, times int) error {
	if x.mode == answerEach {
		b := []byte{0}
		for range times {
			if _, err := unix.Write(fd, b); err != nil {
				return fmt.Errorf("write: %w", err)
			}
			if n, err := unix.Read(fd, b); n != 1 {
				return fmt.Errorf("read an answer: %d, %w", n, err)
			}
		}
		return nil
	}
	b := make([]byte, bulk)
	for range times {
		for rest := b; len(rest) > 0; {
			n, err := unix.Write(fd, rest)
			if err != nil {
				return fmt.Errorf("write: %w", err)
			}
			rest = rest[n:]
		}
	}
	unix.Shutdown(fd, unix.SHUT_WR)
	if n, err := unix.Read(fd, b); n != 1 {
		return fmt.Errorf("read the last answer: %d, %w", n, err)
	}
	return nil
}

// serve answers connections, one after the other, until the listener is shut down.
func (x exchange) serve(listener int) error {
	b := make([]byte, bulk)
	for {
		fd, _, err := unix.Accept(listener)
		if err == unix.EINVAL {
			return nil
		}
		if err != nil {
			return fmt.Errorf("accept: %w", err)
		}
		noDelay(fd)
		if n, err := unix.Read(fd, b[:1]); n != 1 {
			return fmt.Errorf("read the mode: %d, %w", n, err)
		}
		each := b[0] == answerEach
		for {
			n, err := unix.Read(fd, b)
			if n <= 0 || err != nil {
				break // a client that hangs up resets
			}
			if each {
				unix.Write(fd, b[:n])
			}
		}
		if !each {
			unix.Write(fd, b[:1])
		}
		unix.Close(fd)
	}
}
