package socket

import (
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"syscall"
	"testing"

	"replypath/health"
)

func TestExplainNamesCauseAndRemedy(t *testing.T) {
	p := health.Path{Link: "eth1", Mark: 0x200, Table: 8202}
	failed := func(op, call string, errno syscall.Errno) error {
		return &net.OpError{Op: op, Net: "ip4:icmp", Err: os.NewSyscallError(call, errno)}
	}
	for _, c := range []struct {
		err  error
		want string
	}{
		{failed("write", "sendmsg", syscall.EPERM), "sendmsg: operation not permitted: the host's own firewall"},
		{failed("dial", "connect", syscall.EPERM), "connect: operation not permitted: the host's own firewall"},
		{failed("listen", "socket", syscall.EPERM), "socket: operation not permitted: it needs root"},
		{errors.New("error setting mark: setsockopt: operation not permitted"), "it needs root, or the capabilities CAP_NET_RAW and CAP_NET_ADMIN"},
		{&net.OpError{Op: "dial", Err: fmt.Errorf("set the mark 0x200: %w", syscall.EPERM)}, "set the mark 0x200: operation not permitted: it needs root"},
		{failed("write", "sendmsg", syscall.EACCES), "prohibits it: see ip route get ADDRESS mark 0x200"},
		{failed("write", "sendmsg", syscall.ENETUNREACH), "see ip route show table 8202"},
		{failed("write", "sendmsg", syscall.EINVAL), "a blackhole rule or route"},
		{failed("listen", "bind", syscall.EADDRNOTAVAIL), "eth1 has lost the address"},
		{failed("write", "sendmsg", syscall.ENODEV), "eth1 has disappeared"},
		{failed("write", "sendmsg", syscall.ENETDOWN), "eth1 is down"},
		{failed("write", "sendmsg", syscall.EMSGSIZE), "sendmsg: message too long"},
	} {
		got := Explain(p, c.err)
		if !strings.Contains(got.Error(), c.want) || strings.Contains(got.Error(), "\n") || !errors.Is(got, c.err) {
			t.Errorf("%v: got %q, want %q", c.err, got, c.want)
		}
	}
}
