package rtnl

import (
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"syscall"

	"replypath/marks/nlattr"

	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

// writer sends many messages at once and reads the answers together; a message that succeeds has none. The library sends one
// message and waits for its answer, in memory that it allocates each time. Not safe for concurrent use.
type writer struct {
	socket   int
	port     uint32 // identifies the writer in events
	sequence uint32
	payload  []byte // of exchange, whose memory is used again
	answers  []byte
}

// writeTimeout bounds the wait for answers, as the library does: a holder of the kernel's RTNL lock delays all writes.
var writeTimeout = unix.Timeval{Sec: 60}

// batchSize is the number of messages that are sent at once. The kernel drops answers when the receive buffer is full; there
// is room for some hundreds.
const batchSize = 64

func openWriter() (*writer, error) { return openProtocolWriter(unix.NETLINK_ROUTE) }

// openProtocolWriter returns a writer for a protocol of netlink.
func openProtocolWriter(protocol int) (*writer, error) {
	socket, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC, protocol)
	if err != nil {
		return nil, os.NewSyscallError("socket", err)
	}
	w := &writer{socket: socket}
	err = errors.Join(
		w.bind(),
		os.NewSyscallError("setsockopt", unix.SetsockoptTimeval(socket, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &writeTimeout)),
		os.NewSyscallError("setsockopt", unix.SetsockoptInt(socket, unix.SOL_NETLINK, unix.NETLINK_EXT_ACK, 1)),
		os.NewSyscallError("setsockopt", unix.SetsockoptInt(socket, unix.SOL_NETLINK, unix.NETLINK_CAP_ACK, 1)),
	)
	if err != nil {
		w.close()
		return nil, err
	}
	return w, nil
}

// bind lets the kernel choose a port.
func (w *writer) bind() error {
	if err := unix.Bind(w.socket, &unix.SockaddrNetlink{Family: unix.AF_NETLINK}); err != nil {
		return os.NewSyscallError("bind", err)
	}
	name, err := unix.Getsockname(w.socket)
	if address, is := name.(*unix.SockaddrNetlink); is {
		w.port = address.Pid
	}
	return os.NewSyscallError("getsockname", err)
}

// close closes the socket. It may be called again: a number that was closed may be another file's by then.
func (w *writer) close() {
	unix.Close(w.socket)
	w.socket = -1
}

// send returns the error of each message, or nil. A message that fails does not prevent the others.
func (w *writer) send(all []message) []error {
	results := make([]error, len(all))
	for from := 0; from < len(all); from += batchSize {
		to := min(from+batchSize, len(all))
		if err := w.exchange(all[from:to], results[from:to]); err != nil {
			for i := range results[from:to] {
				results[from+i] = errors.Join(results[from+i], err)
			}
		}
	}
	return results
}

// exchange sends the messages and stores their errors in results. It fails when the fate of the messages is unknown.
func (w *writer) exchange(all []message, results []error) error {
	first, payload := w.sequence+1, w.payload[:0]
	for i, m := range all {
		if w.sequence++; i == len(all)-1 {
			m.requestAck()
		}
		m.setSequence(w.sequence)
		payload = append(payload, m...)
	}
	w.payload = payload
	if err := unix.Sendto(w.socket, payload, 0, &unix.SockaddrNetlink{Family: unix.AF_NETLINK}); err != nil {
		return fmt.Errorf("write to a netlink socket: %w", err)
	}
	for {
		answers, err := w.receive()
		if err != nil {
			return err
		}
		for _, a := range answers {
			at := int(a.Header.Seq - first)
			if a.Header.Type != unix.NLMSG_ERROR || at >= len(all) {
				continue // a late answer to an earlier message
			}
			if results[at] = parseAck(a); at == len(all)-1 {
				return nil
			}
		}
	}
}

// ask sends a request for one object and returns the kernel's message about it, without the header, in memory that the next call uses again.
func (w *writer) ask(m message) ([]byte, error) {
	w.sequence++
	m.setSequence(w.sequence)
	if err := unix.Sendto(w.socket, m, 0, &unix.SockaddrNetlink{Family: unix.AF_NETLINK}); err != nil {
		return nil, fmt.Errorf("write to a netlink socket: %w", err)
	}
	for {
		answers, err := w.receive()
		if err != nil {
			return nil, err
		}
		for _, a := range answers {
			switch {
			case a.Header.Seq != w.sequence: // a late answer to an earlier message
			case a.Header.Type == unix.NLMSG_ERROR:
				return nil, cmp.Or(parseAck(a), error(unix.ENOMSG))
			default:
				return a.Data, nil
			}
		}
	}
}

// receive waits for answers, which are in memory that the next call uses again.
func (w *writer) receive() ([]syscall.NetlinkMessage, error) {
	if w.answers == nil {
		w.answers = make([]byte, 8<<10)
	}
	for {
		n, _, err := unix.Recvfrom(w.socket, w.answers, 0)
		if err == unix.EINTR {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("read from a netlink socket: %w", err)
		}
		answers, err := syscall.ParseNetlinkMessage(w.answers[:n])
		if err != nil {
			return nil, fmt.Errorf("read from a netlink socket: %w", err)
		}
		return answers, nil
	}
}

// parseAck returns the error of a message (linux/netlink.h, struct nlmsgerr), with the text of the kernel if there is one.
func parseAck(a syscall.NetlinkMessage) error {
	if len(a.Data) < 4 {
		return unix.EBADMSG
	}
	errno := -int32(binary.NativeEndian.Uint32(a.Data))
	if errno == 0 {
		return nil
	}
	const head = 4 + unix.SizeofNlMsghdr
	if a.Header.Flags&unix.NLM_F_ACK_TLVS == 0 || len(a.Data) < head {
		return unix.Errno(errno)
	}
	text := unix.ByteSliceToString(nlattr.Find(a.Data[head:], nl.NLMSGERR_ATTR_MSG))
	if text == "" {
		return unix.Errno(errno)
	}
	return fmt.Errorf("%w: %s", unix.Errno(errno), text)
}
