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
	"time"

	"golang.org/x/sys/unix"
)

// SocketName is the control socket's name in the state folder.
const SocketName = "control.sock"

// What one caller may take.
const (
	requestSize = 4 << 10
	callTime    = time.Minute
	callers     = 16
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
		select {
		case places <- struct{}{}:
			go func() {
				defer func() { <-places }()
				handle(ctx, c, answer)
			}()
		default:
			c.Close()
		}
	}
}

// handle answers one request of a caller who is root.
func handle(ctx context.Context, c *net.UnixConn, answer func(context.Context, Request) Response) {
	defer c.Close()
	ctx, cancel := context.WithTimeout(ctx, callTime)
	defer cancel()
	if err := c.SetDeadline(time.Now().Add(callTime)); err != nil || !byRoot(c) {
		return
	}
	line, err := bufio.NewReader(io.LimitReader(c, requestSize)).ReadBytes('\n')
	if err != nil {
		return
	}
	var r Request
	response := Response{Error: "not a request"}
	if err := json.Unmarshal(line, &r); err == nil {
		response = answer(ctx, r)
	}
	_ = json.NewEncoder(c).Encode(response)
}

// byRoot asks the kernel who is calling (unix(7), SO_PEERCRED).
func byRoot(c *net.UnixConn) bool {
	raw, err := c.SyscallConn()
	if err != nil {
		return false
	}
	var caller *unix.Ucred
	if raw.Control(func(fd uintptr) { caller, err = unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED) }) != nil {
		return false
	}
	return err == nil && caller.Uid == uint32(os.Geteuid())
}
