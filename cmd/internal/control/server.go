package control

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

	"replypath/cmd/internal/namespace"

	"golang.org/x/sys/unix"
)

const (
	maxRequestSize = 4 << 10 // bytes
	requestTimeout = 5 * time.Second
	callTimeout    = time.Minute
	acceptRetry    = time.Second

	// MaxCalls is how many requests are carried out at the same time. As many connections may be open without a request.
	MaxCalls = 16
)

// Server accepts requests.
type Server struct {
	listener *net.UnixListener
	waiting  acceptLimiter
	calls    chan struct{} // one token for each request that is carried out
}

// Listen makes the control socket in the state folder. It replaces a socket that no service listens on.
func Listen(stateDir string) (*Server, error) {
	path := filepath.Join(stateDir, SocketName)
	if c, err := net.Dial("unix", path); err == nil {
		c.Close()
		return nil, fmt.Errorf("another service listens on %s: give this one its own state folder: --state DIR", path)
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
	return &Server{listener: l, calls: make(chan struct{}, MaxCalls)}, nil
}

// Close deletes the socket.
func (s *Server) Close() error { return s.listener.Close() }

// Serve carries out requests until the context ends.
func (s *Server) Serve(ctx context.Context, service Service) error {
	defer context.AfterFunc(ctx, func() { s.Close() })()
	for {
		c, err := s.listener.AcceptUnix()
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err != nil {
			// Out of file descriptors (accept(2)), which passes.
			select {
			case <-ctx.Done():
				return ctx.Err()
			case <-time.After(acceptRetry):
			}
			continue
		}
		if !sameUser(c) {
			c.Close()
			continue
		}
		s.waiting.add(c)
		go s.serveConn(ctx, c, service)
	}
}

func (s *Server) serveConn(ctx context.Context, c *net.UnixConn, service Service) {
	defer c.Close()
	line, err := readRequest(c)
	s.waiting.remove(c)
	if err != nil {
		return
	}
	select {
	case s.calls <- struct{}{}:
		defer func() { <-s.calls }()
		respond(ctx, c, line, service)
	case <-ctx.Done():
	}
}

func readRequest(c *net.UnixConn) ([]byte, error) {
	if err := c.SetReadDeadline(time.Now().Add(requestTimeout)); err != nil {
		return nil, err
	}
	return bufio.NewReader(io.LimitReader(c, maxRequestSize)).ReadBytes('\n')
}

func respond(ctx context.Context, c *net.UnixConn, line []byte, service Service) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	var r request
	answer := response{Error: "the request is not JSON"}
	if err := json.Unmarshal(line, &r); err == nil {
		answer = carryOut(ctx, r, service)
	}
	if err := c.SetWriteDeadline(time.Now().Add(requestTimeout)); err == nil {
		_ = json.NewEncoder(c).Encode(answer)
	}
}

func carryOut(ctx context.Context, r request, service Service) response {
	if cookie, err := namespace.Cookie(); err != nil || r.Namespace != cookie {
		return response{Elsewhere: true}
	}
	switch r.Do {
	case doReload:
		return errorResponse(service.Reload(ctx, Reload{ConfigFile: r.Config, ConfirmWithin: r.Confirm}))
	case doConfirm:
		return errorResponse(service.Confirm(ctx))
	case doDrain:
		if r.Drain == nil {
			return response{Error: "the request names no uplink"}
		}
		return errorResponse(service.Drain(ctx, *r.Drain))
	case doVerdicts:
		return response{Verdicts: service.Verdicts()}
	case doStatus:
		status := service.Status().WithoutNulls()
		if r.Uplink != "" {
			status = status.Of(r.Uplink)
		}
		return response{Status: &status}
	}
	return response{Error: fmt.Sprintf("the service does not know the request %q: it is of another version: restart it (systemctl restart replypath)", r.Do)}
}

func errorResponse(err error) response {
	if err != nil {
		return response{Error: err.Error()}
	}
	return response{}
}

// sameUser reports whether the caller is the user that this process runs as.
func sameUser(c *net.UnixConn) bool {
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
