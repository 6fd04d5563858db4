package box

import (
	"errors"
	"net"
	"net/netip"
	"os"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"replypath/test/world"
)

// Connected returns a socket with both ends set.
func (b *Box) Connected(h *world.Host, local, remote netip.AddrPort) *net.UDPConn {
	b.T.Helper()
	var socket *net.UDPConn
	err := h.Bind(func() (err error) {
		socket, err = net.DialUDP("udp", net.UDPAddrFromAddrPort(local), net.UDPAddrFromAddrPort(remote))
		return err
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

// DatagramLoad sends datagrams by sockets all the time, each once, and counts the answers.
type DatagramLoad struct {
	sockets     []*net.UDPConn
	sent, heard []atomic.Int64
	stop        chan struct{}
	once        sync.Once // of stop
	senders     sync.WaitGroup
	readers     sync.WaitGroup
}

// datagramInterval is the time between two datagrams of a socket.
const datagramInterval = 10 * time.Millisecond

// StartDatagrams sends by the connected sockets until End. What is sent must be answered, each by one datagram.
func StartDatagrams(sockets ...*net.UDPConn) *DatagramLoad {
	l := &DatagramLoad{sockets: sockets, sent: make([]atomic.Int64, len(sockets)), heard: make([]atomic.Int64, len(sockets)), stop: make(chan struct{})}
	for i, s := range sockets {
		s.SetDeadline(time.Time{})
		l.senders.Go(func() { l.send(i) })
		l.readers.Go(func() {
			for buffer := make([]byte, 64); ; {
				switch _, err := s.Read(buffer); {
				case err == nil:
					l.heard[i].Add(1)
				case errors.Is(err, net.ErrClosed), errors.Is(err, os.ErrDeadlineExceeded):
					return
				}
			}
		})
	}
	return l
}

func (l *DatagramLoad) send(i int) {
	for tick := time.NewTicker(datagramInterval); ; {
		select {
		case <-l.stop:
			tick.Stop()
			return
		case <-tick.C:
			if _, err := l.sockets[i].Write([]byte("question")); err == nil {
				l.sent[i].Add(1)
			}
		}
	}
}

// Goes waits until each socket has heard that many more answers.
func (l *DatagramLoad) Goes(t *testing.T, answers int64) {
	t.Helper()
	for i, s := range l.sockets {
		want := l.heard[i].Load() + answers
		Eventually(t, EventualTimeout, "answers from "+s.RemoteAddr().String(), func() bool { return l.heard[i].Load() >= want })
	}
}

// End stops sending, and wants every datagram to have been answered.
func (l *DatagramLoad) End(t *testing.T, during string) {
	t.Helper()
	l.stopSending()
	for i, s := range l.sockets {
		late := time.Now().Add(lastAnswer)
		for l.heard[i].Load() < l.sent[i].Load() && time.Now().Before(late) {
			time.Sleep(time.Millisecond)
		}
		if sent, heard := l.sent[i].Load(), l.heard[i].Load(); heard != sent || sent == 0 {
			t.Errorf("%s: %d of %d datagrams to %s were answered", during, heard, sent, s.RemoteAddr())
		}
	}
	l.Abandon()
}

// Abandon stops sending. What was not answered yet is lost.
func (l *DatagramLoad) Abandon() {
	l.stopSending()
	for _, s := range l.sockets {
		s.SetReadDeadline(time.Now())
	}
	l.readers.Wait()
}

func (l *DatagramLoad) stopSending() {
	l.once.Do(func() { close(l.stop) })
	l.senders.Wait()
}

// lastAnswer is how long the answer to the last datagram may take, on an emulated machine too.
const lastAnswer = 10 * time.Second
