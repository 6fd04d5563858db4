// Package control carries requests of the command line to the running service, over a unix socket in the state folder.
// Each connection carries one request and one response, each a line of JSON. Only the user that the service runs as may
// connect.
package control

import (
	"context"
	"errors"
	"time"

	"replypath/health"
)

// SocketName is the name of the control socket in the state folder.
const SocketName = "control.sock"

// ErrNoService is the error of a request when no service runs in this network namespace.
var ErrNoService = errors.New("the service does not run")

// Service carries out requests. Its methods may be called concurrently.
type Service interface {
	Reload(ctx context.Context, r Reload) error
	Confirm(ctx context.Context) error
	Drain(ctx context.Context, d Drain) error
	Status() health.Status
	Verdicts() []health.PathVerdict
}

// Reload is the request to read the configuration file again.
type Reload struct {
	ConfigFile    string        // the caller's; the service refuses it unless it reads the same file. Empty: not compared
	ConfirmWithin time.Duration // the previous configuration returns unless the new one is confirmed in time; 0: it does not
}

// Drain is the request to take an uplink out of outbound, or to put it back.
type Drain struct {
	Uplink  string `json:"uplink"`
	Drained bool   `json:"drained"` // false: it is used again
	Move    bool   `json:"move"`    // its connections take other uplinks
}

// The values of request.Do.
const (
	doReload   = "reload"
	doConfirm  = "confirm"
	doStatus   = "status"
	doVerdicts = "verdicts"
	doDrain    = "drain"
)

type request struct {
	Do string `json:"do"`
	// Namespace is the cookie of the caller's network namespace, as namespaces may share a state folder.
	Namespace uint64        `json:"namespace"`
	Config    string        `json:"config,omitempty"`
	Confirm   time.Duration `json:"confirm,omitempty"` // nanoseconds
	Uplink    string        `json:"uplink,omitempty"`  // of a status: this uplink alone, if there is one of that name
	Drain     *Drain        `json:"drain,omitempty"`
}

type response struct {
	Elsewhere bool           `json:"elsewhere,omitempty"` // the service runs in another network namespace than the caller
	Error     string         `json:"error,omitempty"`
	Status    *health.Status `json:"status,omitempty"`
	// Verdicts are those that the service plans with.
	Verdicts []health.PathVerdict `json:"verdicts,omitempty"`
}
