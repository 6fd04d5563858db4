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

	"golang.org/x/sys/unix"
)

// SocketName is the control socket's name in the state folder.
const SocketName = "control.sock"

// What one caller may take.
const (
	maxRequestSize = 4 << 10
	requestTimeout = 5 * time.Second // until the request is there
	callTimeout    = time.Minute
	maxCallers     = 16 // who have not said yet what they want; and as many who wait for an answer
)

// controlSocket is where root may ask for what changes state.
type controlSocket struct{ *net.UnixListener }

// listen takes the place of a socket that nobody answers on any more. The folder keeps everybody but root out.
func listen(dir string) (*controlSocket, error) {
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
	return &controlSocket{l}, nil
}

// serve answers callers until the context ends.
func (s *controlSocket) serve(ctx context.Context, handle func(context.Context, Request) Response) error {
	defer context.AfterFunc(ctx, func() { s.Close() })()
	limiter := &acceptLimiter{}
	slots := make(chan struct{}, maxCallers)
	for {
		c, err := s.AcceptUnix()
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err != nil {
			if err := sleep(ctx, retryInterval); err != nil { // out of file descriptors: it passes
				return err
			}
			continue
		}
		if !fromRoot(c) {
			c.Close()
			continue
		}
		limiter.add(c)
		go func() {
			defer c.Close()
			line, err := readRequest(c)
			limiter.remove(c)
			if err != nil {
				return
			}
			select {
			case slots <- struct{}{}:
				defer func() { <-slots }()
				respond(ctx, c, line, handle)
			case <-ctx.Done():
			}
		}()
	}
}

// acceptLimiter is where callers are who have not said yet what they want. Who came first makes room when it is full, so that
// no number of silent ones keeps a newcomer out.
type acceptLimiter struct {
	mu      sync.Mutex
	waiting []*net.UnixConn
}

func (l *acceptLimiter) add(c *net.UnixConn) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.waiting) == maxCallers {
		l.waiting[0].Close()
		l.waiting = l.waiting[1:]
	}
	l.waiting = append(l.waiting, c)
}

func (l *acceptLimiter) remove(c *net.UnixConn) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if i := slices.Index(l.waiting, c); i >= 0 {
		l.waiting = slices.Delete(l.waiting, i, i+1)
	}
}

// readRequest waits for a request, not for long.
func readRequest(c *net.UnixConn) ([]byte, error) {
	if err := c.SetReadDeadline(time.Now().Add(requestTimeout)); err != nil {
		return nil, err
	}
	return bufio.NewReader(io.LimitReader(c, maxRequestSize)).ReadBytes('\n')
}

func respond(ctx context.Context, c *net.UnixConn, line []byte, handle func(context.Context, Request) Response) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	var r Request
	response := Response{Error: "not a request"}
	if err := json.Unmarshal(line, &r); err == nil {
		response = handle(ctx, r)
	}
	if err := c.SetWriteDeadline(time.Now().Add(requestTimeout)); err == nil {
		_ = json.NewEncoder(c).Encode(response)
	}
}

// fromRoot reports whether the caller is who we are.
func fromRoot(c *net.UnixConn) bool {
	cred, err := peerCredentials(c)
	return err == nil && cred.Uid == uint32(os.Geteuid())
}

// peerCredentials returns the credentials of the process that connected (unix(7), SO_PEERCRED).
func peerCredentials(c *net.UnixConn) (*unix.Ucred, error) {
	raw, err := c.SyscallConn()
	if err != nil {
		return nil, err
	}
	var cred *unix.Ucred
	controlErr := raw.Control(func(fd uintptr) { cred, err = unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED) })
	return cred, errors.Join(controlErr, err)
}
