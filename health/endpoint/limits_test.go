package endpoint

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"replypath/health"
	"replypath/health/healthtest"
)

// dial opens a connection and writes a text to it.
func (s *testServer) dial(t *testing.T, text string) net.Conn {
	t.Helper()
	c, err := net.Dial("tcp", strings.TrimPrefix(s.base, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	if _, err := io.WriteString(c, text); err != nil {
		t.Fatal(err)
	}
	if err := c.SetReadDeadline(time.Now().Add(2 * time.Minute)); err != nil {
		t.Fatal(err)
	}
	return c
}

// firstLine returns the first line of the response.
func firstLine(t *testing.T, c net.Conn) string {
	t.Helper()
	text, err := bufio.NewReader(c).ReadString('\n')
	if err != nil {
		t.Fatalf("no answer: %v", err)
	}
	return strings.TrimSpace(text)
}

func TestMalformedRequestsAreRefused(t *testing.T) {
	s := openServer(t)
	for request, want := range map[string]string{
		"hello\r\n\r\n": "HTTP/1.1 400 Bad Request",
		"\x16\x03\x01\x00\xa5\x01\x00\x00\xa1\x03\x03\r\n\r\n":                      "HTTP/1.1 400 Bad Request",
		"GET / HTTP/9.9\r\n\r\n":                                                    "HTTP/1.1 505 HTTP Version Not Supported: unsupported protocol version",
		"GET / HTTP/1.1\r\n\r\n":                                                    "HTTP/1.1 400 Bad Request: missing required Host header",
		"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n":                              "HTTP/1.1 400 Bad Request",
		"GET /%zz HTTP/1.1\r\nHost: localhost\r\n\r\n":                              "HTTP/1.1 400 Bad Request",
		"GET /status HTTP/1.1\r\nHost: localhost\r\nContent-Length: -1\r\n\r\n":     "HTTP/1.1 400 Bad Request",
		"GET /../../etc/shadow HTTP/1.1\r\nHost: localhost\r\n\r\n":                 "HTTP/1.1 307 Temporary Redirect",
		"GET http://other.example/status HTTP/1.1\r\nHost: localhost\r\n\r\n":       "HTTP/1.1 421 Misdirected Request",
		"GET /status HTTP/1.0\r\n\r\n":                                              "HTTP/1.0 200 OK", // haproxy's option httpchk
		"GET /status HTTP/1.0\r\nHost: other.example\r\n\r\n":                       "HTTP/1.0 421 Misdirected Request",
		"GET http://other.example/status HTTP/1.0\r\n\r\n":                          "HTTP/1.0 421 Misdirected Request",
		"GET /status HTTP/1.0\r\nHost: 127.0.0.1\r\n\r\n":                           "HTTP/1.0 200 OK",
		"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n":                                          "HTTP/1.1 405 Method Not Allowed",
		"GET / HTTP/1.1\r\nHost: localhost\r\nX: " + strings.Repeat("x", 64<<10):    "HTTP/1.1 431 Request Header Fields Too Large",
		"GET /" + strings.Repeat("x", 64<<10):                                       "HTTP/1.1 431 Request Header Fields Too Large",
		"GET / HTTP/1.1\r\nHost: localhost\r\n" + strings.Repeat("A: b\r\n", 1<<13): "HTTP/1.1 431 Request Header Fields Too Large",
	} {
		if got := firstLine(t, s.dial(t, request)); got != want {
			t.Errorf("%.60q: %s, not %s", request, got, want)
		}
	}
	if code, _ := s.get(t, "/healthz"); code != 200 {
		t.Errorf("afterwards: %d", code)
	}
}

func TestHugeBodyIsNotRead(t *testing.T) {
	s := openServer(t)
	c := s.dial(t, "GET /healthz HTTP/1.1\r\nHost: localhost\r\nContent-Length: 99999999999\r\n\r\n")
	if got := firstLine(t, c); got != "HTTP/1.1 200 OK" {
		t.Error(got)
	}
	chunk := make([]byte, 1<<20)
	for range 1 << 10 {
		if _, err := c.Write(chunk); err != nil {
			return
		}
	}
	t.Error("a gigabyte was read")
}

func TestSlowRequestTimesOut(t *testing.T) {
	t.Parallel()
	s := openServerWithShortTimeouts(t)
	for what, request := range map[string]string{
		"silent": "", "half a header": "GET /status HTTP/1.1\r\nHost: loc", "half a body": "POST /status HTTP/1.1\r\nHost: localhost\r\nContent-Length: 10\r\n\r\n12",
	} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			if _, err := io.Copy(io.Discard, s.dial(t, request)); err != nil {
				t.Errorf("the connection is not closed: %v", err)
			}
		})
	}
}

func TestSilentClientsDoNotBlockOthers(t *testing.T) {
	s := openServer(t)
	for i := range 3 * maxConns {
		s.dial(t, []string{"", "GET /status HTTP/1.1\r\nHost: loc"}[i%2])
		if i%50 == 0 {
			if code, _ := s.get(t, "/healthz"); code != 200 {
				t.Fatalf("with %d silent clients: %d", i, code)
			}
		}
	}
	if code, _ := s.get(t, "/healthz"); code != 200 {
		t.Errorf("with all silent clients: %d", code)
	}
}

// Active connections are not displaced: a new one is refused until one is idle.
func TestLimitListenerEvictsTheOldestIdleConnection(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	c := newLimitListener(l, maxConns)
	t.Cleanup(func() { c.Close() })
	var conns []*limitedConn
	for range maxConns {
		server, client := net.Pipe()
		t.Cleanup(func() { client.Close() })
		g := c.admit(server)
		g.setActive(true)
		conns = append(conns, g)
	}
	newConn, other := net.Pipe()
	defer other.Close()
	if c.admit(newConn) != nil {
		t.Error("a connection beyond the limit was admitted although all are active")
	}
	conns[5].setActive(false)
	conns[3].setActive(false)
	if c.admit(newConn) == nil {
		t.Error("an idle connection was not displaced")
	}
	if _, err := conns[5].Write([]byte("x")); err == nil {
		t.Error("another connection than the one that was idle longest was displaced")
	}
	if len(c.conns) != maxConns {
		t.Errorf("%d connections", len(c.conns))
	}
	for _, g := range slices.Clone(c.conns) {
		g.Close()
	}
	if len(c.conns) != 0 {
		t.Errorf("%d connections after all were closed", len(c.conns))
	}
}

// huge makes the status larger than any socket buffer.
func huge(h *health.Status) {
	h.Problems = []string{strings.Repeat("x", 16<<20)}
}

func TestSlowReaderTimesOut(t *testing.T) {
	t.Parallel()
	for _, path := range []string{"/status", "/events"} {
		t.Run(path, func(t *testing.T) {
			t.Parallel()
			s := openServerWithShortTimeouts(t)
			s.update(huge)
			c := s.dial(t, fmt.Sprintf("GET %s HTTP/1.1\r\nHost: localhost\r\n\r\n", path))
			if got := firstLine(t, c); got != "HTTP/1.1 200 OK" {
				t.Fatal(got)
			}
			healthtest.WaitFor(t, "the connection of the slow reader is closed", func() bool {
				listener := s.listener.Load()
				listener.mu.Lock()
				defer listener.mu.Unlock()
				return len(listener.conns) == 0
			})
			if n, _ := io.Copy(io.Discard, c); n >= 16<<20 {
				t.Error("the socket buffer held all of it: the test proves nothing")
			}
		})
	}
}

func TestConcurrentRequestsAreAnswered(t *testing.T) {
	s := openServer(t)
	codes := make(chan int)
	client := &http.Client{}
	for i := range 200 {
		go func() {
			answer, err := client.Get(s.base + []string{"/status", "/healthz", "/uplinks/up", "/"}[i%4])
			if err != nil {
				codes <- 0
				return
			}
			defer answer.Body.Close()
			_, _ = io.Copy(io.Discard, answer.Body)
			codes <- answer.StatusCode
		}()
	}
	lost := 0
	for range 200 {
		if code := <-codes; code == 0 {
			lost++
		} else if code != 200 {
			t.Errorf("%d", code)
		}
	}
	if lost > 200-maxConns {
		t.Errorf("%d of 200 requests were not answered, the limit is %d connections", lost, maxConns)
	}
	if code, _ := s.get(t, "/healthz"); code != 200 {
		t.Errorf("afterwards: %d", code)
	}
}
