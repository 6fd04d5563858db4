package socket

import (
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"syscall"

	"replypath/health"
)

// Explain returns the kernel's error of a probe through the path with its likely cause and what to look at, in one line. It
// wraps err.
func Explain(p health.Path, err error) error {
	text, hint := shortText(err), ""
	switch {
	case errors.Is(err, syscall.EPERM) && isSendError(err):
		hint = "the host's own firewall drops it: look at the OUTPUT and POSTROUTING chains"
	case errors.Is(err, syscall.EPERM), strings.Contains(text, syscall.EPERM.Error()):
		hint = "it needs root, or the capabilities CAP_NET_RAW and CAP_NET_ADMIN"
	case errors.Is(err, syscall.EACCES):
		hint = fmt.Sprintf("a rule or route prohibits it: see ip route get ADDRESS mark %s", p.Mark)
	case errors.Is(err, syscall.ENETUNREACH), errors.Is(err, syscall.EHOSTUNREACH):
		hint = fmt.Sprintf("there is no route, the next hop does not respond, or a router on the way reports it: see ip route show table %d", p.Table)
	case errors.Is(err, syscall.EADDRNOTAVAIL):
		hint = fmt.Sprintf("%s has lost the address %s", p.Link, p.Source)
	case errors.Is(err, syscall.ENODEV), errors.Is(err, syscall.ENXIO):
		hint = fmt.Sprintf("%s has disappeared or was recreated", p.Link)
	case errors.Is(err, syscall.ENETDOWN):
		hint = p.Link + " is down"
	case errors.Is(err, syscall.EINVAL):
		hint = fmt.Sprintf("a blackhole rule or route, or a source that %s may not use: see ip route get ADDRESS mark %s", p.Link, p.Mark)
	default:
		return &explainedError{text, err}
	}
	return &explainedError{text + ": " + hint, err}
}

// isSendError reports whether the kernel refused to send a packet, not to open or configure the socket.
func isSendError(err error) bool {
	var op *net.OpError
	var call *os.SyscallError
	return errors.As(err, &op) && (op.Op == "write" || op.Op == "dial") &&
		errors.As(err, &call) && (call.Syscall == "sendmsg" || call.Syscall == "sendto" || call.Syscall == "connect")
}

// shortText returns the error without the addresses, which the reader knows.
func shortText(err error) string {
	var call *os.SyscallError
	if errors.As(err, &call) {
		return call.Error()
	}
	var op *net.OpError
	if errors.As(err, &op) {
		return op.Err.Error()
	}
	return err.Error()
}

type explainedError struct {
	text string
	err  error
}

func (e *explainedError) Error() string { return e.text }
func (e *explainedError) Unwrap() error { return e.err }
