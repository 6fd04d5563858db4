package world

import (
	"encoding/binary"
	"net/netip"

	"golang.org/x/sys/unix"
)

// ServeEcho answers the IPv4 echo requests that come to the host, in the kernel's place. It sends for each what answer
// makes of the request's data; nil: nothing.
func (h *Host) ServeEcho(reply func(data []byte) []byte) *Service {
	h.world.tb.Helper()
	h.SetSysctl("net.ipv4.icmp_echo_ignore_all", "1")
	s, err := h.socket(unix.AF_INET, unix.SOCK_RAW, unix.IPPROTO_ICMP)
	h.must(err, "serve echo")
	h.world.start(func() {
		buffer := make([]byte, 64<<10)
		for {
			m, err := s.receive(buffer, nil)
			if err != nil {
				return
			}
			request := afterHeader(m, netip.IPv4Unspecified())
			if len(request) < 8 || request[0] != echoRequest4 {
				continue
			}
			if data := reply(request[8:]); data != nil {
				// What cannot be sent is lost, as on any network.
				_ = s.send(echoReply(request[:8], data), nil, m.from)
			}
		}
	})
	return h.newService(s.close)
}

// echoReply returns the answer to a request with that header.
func echoReply(header, data []byte) []byte {
	b := append(append([]byte(nil), header...), data...)
	b[0], b[2], b[3] = echoReply4, 0, 0
	binary.BigEndian.PutUint16(b[2:], checksum(0, b))
	return b
}
