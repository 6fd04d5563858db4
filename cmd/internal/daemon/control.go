package daemon

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"path/filepath"
	"time"

	"replypath/cmd/internal/namespace"
	"replypath/cmd/internal/statedir"
	"replypath/health"
)

// Request is what is asked on the control socket, a line of JSON.
type Request struct {
	Do string `json:"do"`
	// Namespace is the caller's network namespace: a folder may be shared by several, and a service keeps but one.
	Namespace uint64 `json:"namespace"`
	Config    string `json:"config,omitempty"` // of the caller: it must be the service's
	// Confirm is after how many nanoseconds a reload goes back unless it is confirmed; 0: it stays.
	Confirm time.Duration `json:"confirm,omitempty"`
}

// What can be asked.
const (
	DoReload  = "reload"
	DoConfirm = "confirm"
	DoStatus  = "status"
)

// Response is the answer, a line of JSON.
type Response struct {
	Elsewhere bool           `json:"elsewhere,omitempty"` // the service keeps another network namespace than the caller's
	Error     string         `json:"error,omitempty"`
	Status    *health.Status `json:"status,omitempty"`
}

func (s *Service) handleRequest(ctx context.Context, r Request) Response {
	if ns, err := namespace.Cookie(); err != nil || r.Namespace != ns {
		return Response{Elsewhere: true}
	}
	switch r.Do {
	case DoReload:
		if r.Config != "" && r.Config != s.ConfigFile {
			return Response{Error: fmt.Sprintf("the service reads %s, not %s: stop it first, or change its file", s.ConfigFile, r.Config)}
		}
		return errorResponse(s.submit(ctx, loopRequest{deadline: r.Confirm}))
	case DoConfirm:
		return errorResponse(s.submit(ctx, loopRequest{confirm: true}))
	case DoStatus:
		status := s.Status().WithoutNulls()
		return Response{Status: &status}
	}
	return Response{Error: fmt.Sprintf("nothing is known about %q", r.Do)}
}

func errorResponse(err error) Response {
	if err != nil {
		return Response{Error: err.Error()}
	}
	return Response{}
}

// ErrNoService is the error of a Call when no service answers.
var ErrNoService = errors.New("the service does not run")

// Call asks the service whose state folder this is.
func Call(ctx context.Context, dir string, r Request) (Response, error) {
	c, err := dial(ctx, filepath.Join(dir, SocketName))
	if err != nil {
		return Response{}, err
	}
	defer c.Close()
	defer context.AfterFunc(ctx, func() { c.Close() })()
	if r.Namespace, err = namespace.Cookie(); err != nil {
		return Response{}, err
	}
	if err := json.NewEncoder(c).Encode(r); err != nil {
		return Response{}, fmt.Errorf("ask the service: %w", err)
	}
	line, err := bufio.NewReader(c).ReadBytes('\n')
	if err != nil {
		return Response{}, fmt.Errorf("ask the service: %w", errors.Join(ctx.Err(), err))
	}
	var answer Response
	if err := json.Unmarshal(line, &answer); err != nil {
		return Response{}, fmt.Errorf("ask the service: %w", err)
	}
	if answer.Elsewhere {
		return answer, fmt.Errorf("%w in this network namespace", ErrNoService)
	}
	if answer.Error != "" {
		return answer, errors.New(answer.Error)
	}
	return answer, nil
}

// dialTimeout is how long a service that begins or ends is waited for.
const dialTimeout = 3 * time.Second

// dial connects to the service. One that has this network namespace and does not answer there must not be taken for none:
// it would put back whatever is changed.
func dial(ctx context.Context, path string) (net.Conn, error) {
	var d net.Dialer
	for began := time.Now(); ; {
		c, err := d.DialContext(ctx, "unix", path)
		switch {
		case err == nil:
			return c, nil
		case errors.Is(err, fs.ErrPermission):
			return nil, fmt.Errorf("requests to the service need root: run it with sudo: %w", err)
		case !statedir.ServiceRuns(ctx):
			return nil, fmt.Errorf("%w: %w", ErrNoService, err)
		case time.Since(began) > dialTimeout:
			return nil, fmt.Errorf("a service has this network namespace, but does not answer: %w: name its folder (--state DIR), or where that was removed restart it (systemctl restart replypath)", err)
		}
		if err := sleep(ctx, 50*time.Millisecond); err != nil {
			return nil, err
		}
	}
}
