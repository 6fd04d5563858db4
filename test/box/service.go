package box

import (
	"bytes"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"

	"replypath/test/world"
)

// Service is replypath as it runs from boot on.
type Service struct {
	B             *Box
	Cmd           *world.Command
	Ended         chan error
	Log           lockedBuffer
	notify        *net.UnixConn
	Notifications chan string // its messages to the service manager (sd_notify(3))
}

// Start runs the service and waits for READY=1.
func (b *Box) Start() *Service {
	b.T.Helper()
	s := b.Launch()
	s.AwaitNotify("READY=1")
	return s
}

// Launch starts the service without waiting until it is ready.
func (b *Box) Launch() *Service {
	b.T.Helper()
	dir, err := os.MkdirTemp("/run", "notify")
	if err != nil {
		b.T.Fatal(err)
	}
	socket := filepath.Join(dir, "s")
	conn, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: socket, Net: "unixgram"})
	if err != nil {
		b.T.Fatal(err)
	}
	s := &Service{B: b, notify: conn, Ended: make(chan error, 1), Notifications: make(chan string, 1000)}
	program := b.Program
	if b.ServiceProgram != "" {
		program = b.ServiceProgram
	}
	s.Cmd = b.Gateway.Command(b.T.Context(), program, append([]string{"run", "--config", b.Config, "--state", filepath.Join(b.Dir, "state")}, b.ServiceFlags...)...)
	s.Cmd.Env = append(os.Environ(), append(b.Env, "NOTIFY_SOCKET="+socket)...)
	s.Cmd.Stderr = &s.Log
	if err := s.Cmd.Start(); err != nil {
		b.T.Fatal(err)
	}
	go s.listen()
	go func() { s.Ended <- s.Cmd.Wait() }()
	b.T.Cleanup(func() {
		conn.Close()
		if strings.Contains(s.Log.String(), "WARNING: DATA RACE") {
			b.T.Error("the race detector reports a data race of the service")
		}
		if b.T.Failed() {
			b.T.Logf("the service said:\n%s", s.Log.String())
		}
	})
	return s
}

func (s *Service) listen() {
	buffer := make([]byte, 4096)
	for {
		n, err := s.notify.Read(buffer)
		if err != nil {
			return
		}
		select {
		case s.Notifications <- string(buffer[:n]):
		default: // no test waits for it
		}
	}
}

// AwaitNotify waits for a notification to the service manager that contains the text.
func (s *Service) AwaitNotify(want string) {
	s.B.T.Helper()
	late := time.After(EventualTimeout)
	for {
		select {
		case state := <-s.Notifications:
			if strings.Contains(state, want) {
				return
			}
		case err := <-s.Ended:
			s.B.T.Fatalf("the service ended (%v) before it said %s", err, want)
		case <-late:
			s.B.T.Fatalf("the service never said %s", want)
		}
	}
}

// Stop ends the service as its manager does, and wants success.
func (s *Service) Stop() {
	s.B.T.Helper()
	s.Signal(syscall.SIGTERM)
	if err := s.awaitEnd(); err != nil {
		s.B.T.Errorf("the service ended with %v", err)
	}
}

// Signal sends a signal to the service.
func (s *Service) Signal(sig syscall.Signal) {
	s.B.T.Helper()
	if err := s.Cmd.Process.Signal(sig); err != nil {
		s.B.T.Fatal(err)
	}
}

// Kill ends the service as a crash does.
func (s *Service) Kill() {
	s.B.T.Helper()
	s.Signal(syscall.SIGKILL)
	_ = s.awaitEnd()
}

// awaitEnd waits for the end of the service, and returns its error.
func (s *Service) awaitEnd() error {
	s.B.T.Helper()
	select {
	case err := <-s.Ended:
		return err
	case <-time.After(EventualTimeout):
		s.B.T.Fatalf("the service has not ended after %s", EventualTimeout)
		return nil
	}
}

// AwaitInSync waits until the kernel is as it should be, and returns how long that took.
func (b *Box) AwaitInSync() time.Duration {
	b.T.Helper()
	var last Result
	defer func() {
		if b.T.Failed() {
			b.T.Logf("the last plan: %s", last)
		}
	}()
	return Eventually(b.T, EventualTimeout, "the kernel is in sync", func() bool {
		last = b.Run("plan")
		return last.Status == 0
	})
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
