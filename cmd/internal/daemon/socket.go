package daemon

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"replypath/cmd/internal/host"
)

// SocketName is the control socket's name in the state folder.
const SocketName = "control.sock"

// What one caller may take.
const (
	requestSize = 4 << 10
	askTime     = 5 * time.Second // until the request is there
	callTime    = time.Minute
	callers     = 16 // who have not said yet what they want; and as many who wait for an answer
)

// socket is where root may ask for what changes state.
type socket struct{ *net.UnixListener }

// listen takes the place of a socket that nobody answers on any more. The folder keeps everybody but root out.
func listen(dir string) (*socket, error) {
	path := filepath.Join(dir, SocketName)
	if c, err := net.Dial("unix", path); err == nil {
		c.Close()
		return nil, fmt.Errorf("a service answers on %s already: give this one a folder of its own: --state", path)
	}
	if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("make the control socket: %w", err)
	}
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		return nil, fmt.Errorf("make the control socket: %w", err)
	}
	if err := os.Chmod(path, 0o600); err != nil {
		return nil, errors.Join(fmt.Errorf("make the control socket: %w", err), l.Close())
	}
	return &socket{l}, nil
}

// serve answers callers until the context ends.
func (s *socket) serve(ctx context.Context, answer func(context.Context, Request) Response) error {
	defer context.AfterFunc(ctx, func() { s.Close() })()
	lobby := &lobby{}
	places := make(chan struct{}, callers)
	for {
		c, err := s.AcceptUnix()
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err != nil {
			if err := sleep(ctx, soon); err != nil { // out of file descriptors: it passes
				return err
			}
			continue
		}
		if !byRoot(c) {
			c.Close()
			continue
		}
		lobby.enter(c)
		go func() {
			defer c.Close()
			line, err := hear(c)
			lobby.leave(c)
			if err != nil {
				return
			}
			select {
			case places <- struct{}{}:
				defer func() { <-places }()
				reply(ctx, c, line, answer)
			case <-ctx.Done():
			}
		}()
	}
}

// lobby is where callers are who have not said yet what they want. Who came first makes room when it is full, so that
// no number of silent ones keeps a newcomer out.
type lobby struct {
	mu      sync.Mutex
	waiting []*net.UnixConn
}

func (l *lobby) enter(c *net.UnixConn) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.waiting) == callers {
		l.waiting[0].Close()
		l.waiting = l.waiting[1:]
	}
	l.waiting = append(l.waiting, c)
}

func (l *lobby) leave(c *net.UnixConn) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if i := slices.Index(l.waiting, c); i >= 0 {
		l.waiting = slices.Delete(l.waiting, i, i+1)
	}
}

// hear waits for a request, not for long.
func hear(c *net.UnixConn) ([]byte, error) {
	if err := c.SetReadDeadline(time.Now().Add(askTime)); err != nil {
		return nil, err
	}
	return bufio.NewReader(io.LimitReader(c, requestSize)).ReadBytes('\n')
}

func reply(ctx context.Context, c *net.UnixConn, line []byte, answer func(context.Context, Request) Response) {
	ctx, cancel := context.WithTimeout(ctx, callTime)
	defer cancel()
	var r Request
	response := Response{Error: "not a request"}
	if err := json.Unmarshal(line, &r); err == nil {
		response = answer(ctx, r)
	}
	if err := c.SetWriteDeadline(time.Now().Add(askTime)); err == nil {
		_ = json.NewEncoder(c).Encode(response)
	}
}

// byRoot reports whether the caller is who we are.
func byRoot(c *net.UnixConn) bool {
	who, err := host.Caller(c)
	return err == nil && who.Uid == uint32(os.Geteuid())
}
