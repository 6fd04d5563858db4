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
	said, meant := short(err), ""
	switch {
	case errors.Is(err, syscall.EPERM) && sending(err):
		meant = "the host's own firewall drops it: look at the OUTPUT and POSTROUTING chains"
	case errors.Is(err, syscall.EPERM), strings.Contains(said, syscall.EPERM.Error()):
		meant = "it needs root, or the capabilities CAP_NET_RAW and CAP_NET_ADMIN"
	case errors.Is(err, syscall.EACCES):
		meant = fmt.Sprintf("a rule or route prohibits it: see ip route get ADDRESS mark %s", p.Mark)
	case errors.Is(err, syscall.ENETUNREACH), errors.Is(err, syscall.EHOSTUNREACH):
		meant = fmt.Sprintf("no route, nobody at the next hop, or a router on the way says so: see ip route show table %d", p.Table)
	case errors.Is(err, syscall.EADDRNOTAVAIL):
		meant = fmt.Sprintf("%s has lost the address %s", p.Link, p.Source)
	case errors.Is(err, syscall.ENODEV), errors.Is(err, syscall.ENXIO):
		meant = fmt.Sprintf("%s has gone, or is another link by now", p.Link)
	case errors.Is(err, syscall.ENETDOWN):
		meant = p.Link + " is down"
	case errors.Is(err, syscall.EINVAL):
		meant = fmt.Sprintf("a blackhole rule or route, or a source that %s may not use: see ip route get ADDRESS mark %s", p.Link, p.Mark)
	default:
		return &explained{said, err}
	}
	return &explained{said + ": " + meant, err}
}

// sending tells whether the kernel refused what was sent, not the socket.
func sending(err error) bool {
	var op *net.OpError
	var call *os.SyscallError
	return errors.As(err, &op) && (op.Op == "write" || op.Op == "dial") &&
		errors.As(err, &call) && (call.Syscall == "sendmsg" || call.Syscall == "sendto" || call.Syscall == "connect")
}

// short is what the kernel said, without the addresses, which the reader knows.
func short(err error) string {
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

type explained struct {
	text string
	err  error
}

func (e *explained) Error() string { return e.text }
func (e *explained) Unwrap() error { return e.err }
