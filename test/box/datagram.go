package box

import (
	"net"
	"net/netip"
	"time"

	"replypath/test/world"
)

// Connected returns a socket with both ends set.
func (b *Box) Connected(h *world.Host, local, remote netip.AddrPort) *net.UDPConn {
	b.T.Helper()
	var socket *net.UDPConn
	var err error
	h.Do(func() {
		socket, err = net.DialUDP("udp", net.UDPAddrFromAddrPort(local), net.UDPAddrFromAddrPort(remote))
	})
	if err != nil {
		b.T.Fatal(err)
	}
	b.T.Cleanup(func() { socket.Close() })
	return socket
}

// Echo sends every datagram back to its sender until the socket is closed.
func (b *Box) Echo(socket *net.UDPConn) {
	go func() {
		buffer := make([]byte, 2048)
		for {
			n, err := socket.Read(buffer)
			if err != nil {
				return
			}
			if _, err := socket.Write(buffer[:n]); err != nil {
				return
			}
		}
	}()
}

// Exchange sends a datagram and waits for the answer.
func Exchange(socket *net.UDPConn) error {
	if err := socket.SetDeadline(time.Now().Add(EventualTimeout)); err != nil {
		return err
	}
	if _, err := socket.Write([]byte("question")); err != nil {
		return err
	}
	_, err := socket.Read(make([]byte, 64))
	return err
}
