package test

import (
	"bytes"
	"context"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"

	"replypath/test/world"
)

// service is replypath as it runs from boot on.
type service struct {
	b             *box
	cmd           *world.Command
	ended         chan error
	log           lockedBuffer
	notify        *net.UnixConn
	notifications chan string // what it told its manager, a message each
}

// start runs the service and waits until it says that it is ready.
func (b *box) start() *service {
	b.t.Helper()
	s := b.launch()
	s.awaitNotify("READY=1")
	return s
}

func (b *box) launch() *service {
	b.t.Helper()
	dir, err := os.MkdirTemp("/run", "notify")
	if err != nil {
		b.t.Fatal(err)
	}
	socket := filepath.Join(dir, "s")
	conn, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: socket, Net: "unixgram"})
	if err != nil {
		b.t.Fatal(err)
	}
	s := &service{b: b, notify: conn, ended: make(chan error, 1), notifications: make(chan string, 1000)}
	s.cmd = b.Gateway.Command(b.t.Context(), b.program, append([]string{"run", "--config", b.config, "--state", filepath.Join(b.dir, "state")}, b.serviceFlags...)...)
	s.cmd.Env = append(os.Environ(), append(b.env, "NOTIFY_SOCKET="+socket)...)
	s.cmd.Stderr = &s.log
	if err := s.cmd.Start(); err != nil {
		b.t.Fatal(err)
	}
	go s.listen()
	go func() { s.ended <- s.cmd.Wait() }()
	b.t.Cleanup(func() {
		conn.Close()
		if b.t.Failed() {
			b.t.Logf("the service said:\n%s", s.log.String())
		}
	})
	return s
}

func (s *service) listen() {
	buffer := make([]byte, 4096)
	for {
		n, err := s.notify.Read(buffer)
		if err != nil {
			return
		}
		select {
		case s.notifications <- string(buffer[:n]):
		default: // nobody waits for it
		}
	}
}

// awaitNotify waits until the service tells its manager this.
func (s *service) awaitNotify(want string) {
	s.b.t.Helper()
	late := time.After(time.Minute)
	for {
		select {
		case state := <-s.notifications:
			if strings.Contains(state, want) {
				return
			}
		case err := <-s.ended:
			s.b.t.Fatalf("the service ended (%v) before it said %s", err, want)
		case <-late:
			s.b.t.Fatalf("the service never said %s", want)
		}
	}
}

// stop ends the service as its manager does, and wants success.
func (s *service) stop() {
	s.b.t.Helper()
	s.signal(syscall.SIGTERM)
	if err := <-s.ended; err != nil {
		s.b.t.Errorf("the service ended with %v", err)
	}
}

func (s *service) signal(sig syscall.Signal) {
	s.b.t.Helper()
	if err := s.cmd.Process.Signal(sig); err != nil {
		s.b.t.Fatal(err)
	}
}

// kill ends the service as a crash does.
func (s *service) kill() {
	s.b.t.Helper()
	s.signal(syscall.SIGKILL)
	<-s.ended
}

// awaitInSync waits until the kernel is as it should be.
func (b *box) awaitInSync() {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.t.Context(), 20*time.Second)
	defer cancel()
	var last result
	for ctx.Err() == nil {
		if last = b.run("plan"); last.status == 0 {
			return
		}
	}
	b.t.Fatalf("never repaired: %s", last)
}

type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}
