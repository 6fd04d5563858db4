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

// Explain says in one line what the kernel meant by an error of a question that was put through the path, and what to
// do about it. The error given stays in the chain.
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
		hint = fmt.Sprintf("no route, nobody at the next hop, or a router on the way says so: see ip route show table %d", p.Table)
	case errors.Is(err, syscall.EADDRNOTAVAIL):
		hint = fmt.Sprintf("%s has lost the address %s", p.Link, p.Source)
	case errors.Is(err, syscall.ENODEV), errors.Is(err, syscall.ENXIO):
		hint = fmt.Sprintf("%s has gone, or is another link by now", p.Link)
	case errors.Is(err, syscall.ENETDOWN):
		hint = p.Link + " is down"
	case errors.Is(err, syscall.EINVAL):
		hint = fmt.Sprintf("a blackhole rule or route, or a source that %s may not use: see ip route get ADDRESS mark %s", p.Link, p.Mark)
	default:
		return &explainedError{text, err}
	}
	return &explainedError{text + ": " + hint, err}
}

// isSendError tells whether the kernel refused what was sent, not the socket.
func isSendError(err error) bool {
	var op *net.OpError
	var call *os.SyscallError
	return errors.As(err, &op) && (op.Op == "write" || op.Op == "dial") &&
		errors.As(err, &call) && (call.Syscall == "sendmsg" || call.Syscall == "sendto" || call.Syscall == "connect")
}

// shortText is what the kernel said, without the addresses, which the reader knows.
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
