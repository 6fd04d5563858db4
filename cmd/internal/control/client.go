package control

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

const (
	dialTimeout  = 3 * time.Second // for a service that is starting or stopping
	dialInterval = 50 * time.Millisecond
)

// Client sends requests to the service of a state folder.
type Client struct{ StateDir string }

// Reload returns when the service has read its configuration and applied it.
func (c Client) Reload(ctx context.Context, r Reload) error {
	_, err := c.call(ctx, request{Do: doReload, Config: r.ConfigFile, Confirm: r.ConfirmWithin})
	return err
}

// Confirm keeps the configuration of the last Reload.
func (c Client) Confirm(ctx context.Context) error {
	_, err := c.call(ctx, request{Do: doConfirm})
	return err
}

// Drain returns when the uplink is no longer used, or used again.
func (c Client) Drain(ctx context.Context, d Drain) error {
	_, err := c.call(ctx, request{Do: doDrain, Drain: &d})
	return err
}

// Status returns the status of the service.
func (c Client) Status(ctx context.Context) (health.Status, error) {
	r, err := c.call(ctx, request{Do: doStatus})
	if err != nil {
		return health.Status{}, err
	}
	if r.Status == nil {
		return health.Status{}, errors.New("the service sent no status: it is of another version: restart it (systemctl restart replypath)")
	}
	return r.Status.WithoutNulls(), nil
}

// UplinkStatus returns the status with this uplink alone, without events and histories, which take long to send. If there is no such
// uplink, it has the names of all.
func (c Client) UplinkStatus(ctx context.Context, uplink string) (health.Status, error) {
	r, err := c.call(ctx, request{Do: doStatus, Uplink: uplink})
	if err != nil {
		return health.Status{}, err
	}
	if r.Status == nil {
		return health.Status{}, errors.New("the service sent no status: it is of another version: restart it (systemctl restart replypath)")
	}
	return r.Status.Of(uplink), nil
}

// Verdicts returns the verdicts on the paths that the service plans with.
func (c Client) Verdicts(ctx context.Context) ([]health.PathVerdict, error) {
	r, err := c.call(ctx, request{Do: doVerdicts})
	return r.Verdicts, err
}

func (c Client) call(ctx context.Context, r request) (response, error) {
	conn, err := dial(ctx, filepath.Join(c.StateDir, SocketName))
	if err != nil {
		return response{}, err
	}
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { conn.Close() })()
	if r.Namespace, err = namespace.Cookie(); err != nil {
		return response{}, err
	}
	answer, err := roundTrip(conn, r)
	switch {
	case err != nil:
		return response{}, fmt.Errorf("request to the service: %w", errors.Join(ctx.Err(), err))
	case answer.Elsewhere:
		return response{}, fmt.Errorf("%w in this network namespace", ErrNoService)
	case answer.Error != "":
		return response{}, errors.New(answer.Error)
	}
	return answer, nil
}

func roundTrip(conn net.Conn, r request) (answer response, err error) {
	if err := json.NewEncoder(conn).Encode(r); err != nil {
		return response{}, err
	}
	line, err := bufio.NewReader(conn).ReadBytes('\n')
	if err != nil {
		return response{}, err
	}
	return answer, json.Unmarshal(line, &answer)
}

// dial connects to the service. It returns ErrNoService only when no service has this network namespace: a service that
// has it and cannot be reached would revert every change.
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
			return nil, fmt.Errorf("the service of this network namespace does not answer: %w: name its state folder (--state DIR), or restart it if that folder was deleted (systemctl restart replypath)", err)
		}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(dialInterval):
		}
	}
}
