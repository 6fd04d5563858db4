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
)

// dial opens a connection and says something on it.
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

// firstLine is the first line of the answer.
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
	for words, want := range map[string]string{
		"hello\r\n\r\n": "HTTP/1.1 400 Bad Request",
		"\x16\x03\x01\x00\xa5\x01\x00\x00\xa1\x03\x03\r\n\r\n":                      "HTTP/1.1 400 Bad Request",
		"GET / HTTP/9.9\r\n\r\n":                                                    "HTTP/1.1 505 HTTP Version Not Supported: unsupported protocol version",
		"GET / HTTP/1.1\r\n\r\n":                                                    "HTTP/1.1 400 Bad Request: missing required Host header",
		"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n":                              "HTTP/1.1 400 Bad Request",
		"GET /%zz HTTP/1.1\r\nHost: localhost\r\n\r\n":                              "HTTP/1.1 400 Bad Request",
		"GET /status HTTP/1.1\r\nHost: localhost\r\nContent-Length: -1\r\n\r\n":     "HTTP/1.1 400 Bad Request",
		"GET /../../etc/shadow HTTP/1.1\r\nHost: localhost\r\n\r\n":                 "HTTP/1.1 307 Temporary Redirect",
		"GET http://other.example/status HTTP/1.1\r\nHost: localhost\r\n\r\n":       "HTTP/1.1 421 Misdirected Request",
		"GET /status HTTP/1.0\r\n\r\n":                                              "HTTP/1.0 421 Misdirected Request",
		"GET /status HTTP/1.0\r\nHost: 127.0.0.1\r\n\r\n":                           "HTTP/1.0 200 OK",
		"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n":                                          "HTTP/1.1 405 Method Not Allowed",
		"GET / HTTP/1.1\r\nHost: localhost\r\nX: " + strings.Repeat("x", 64<<10):    "HTTP/1.1 431 Request Header Fields Too Large",
		"GET /" + strings.Repeat("x", 64<<10):                                       "HTTP/1.1 431 Request Header Fields Too Large",
		"GET / HTTP/1.1\r\nHost: localhost\r\n" + strings.Repeat("A: b\r\n", 1<<13): "HTTP/1.1 431 Request Header Fields Too Large",
	} {
		if got := firstLine(t, s.dial(t, words)); got != want {
			t.Errorf("%.60q: %s, not %s", words, got, want)
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
	t.Error("it took a gigabyte")
}

func TestSlowRequestTimesOut(t *testing.T) {
	t.Parallel()
	s := openServer(t)
	for what, words := range map[string]string{
		"silent": "", "half a header": "GET /status HTTP/1.1\r\nHost: loc", "half a body": "POST /status HTTP/1.1\r\nHost: localhost\r\nContent-Length: 10\r\n\r\n12",
	} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			if _, err := io.Copy(io.Discard, s.dial(t, words)); err != nil {
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
				t.Fatalf("beside %d silent clients: %d", i, code)
			}
		}
	}
	if code, _ := s.get(t, "/healthz"); code != 200 {
		t.Errorf("in the end: %d", code)
	}
}

// A crowd in which everybody is being answered turns newcomers away, and lets them in again.
func TestLimitListenerEvictsTheOldestIdleConnection(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	c := newLimitListener(l)
	t.Cleanup(func() { c.Close() })
	var guests []*limitedConn
	for range maxConns {
		ours, theirs := net.Pipe()
		t.Cleanup(func() { theirs.Close() })
		g := c.admit(ours)
		g.setActive(true)
		guests = append(guests, g)
	}
	newcomer, other := net.Pipe()
	defer other.Close()
	if c.admit(newcomer) != nil {
		t.Error("there is room beside those who are being answered")
	}
	guests[5].setActive(false)
	guests[3].setActive(false)
	if c.admit(newcomer) == nil {
		t.Error("who waits makes no room")
	}
	if _, err := guests[5].Write([]byte("x")); err == nil {
		t.Error("not who has waited longest made room")
	}
	if len(c.conns) != maxConns {
		t.Errorf("%d are in", len(c.conns))
	}
	for _, g := range slices.Clone(c.conns) {
		g.Close()
	}
	if len(c.conns) != 0 {
		t.Errorf("%d are in after all have gone", len(c.conns))
	}
}

// huge is a status that no socket buffer holds.
func huge(h *health.Status) {
	h.Problems = []string{strings.Repeat("x", 16<<20)}
}

func TestSlowReaderTimesOut(t *testing.T) {
	t.Parallel()
	for _, path := range []string{"/status", "/events"} {
		t.Run(path, func(t *testing.T) {
			t.Parallel()
			s := openServer(t)
			s.update(huge)
			c := s.dial(t, fmt.Sprintf("GET %s HTTP/1.1\r\nHost: localhost\r\n\r\n", path))
			if got := firstLine(t, c); got != "HTTP/1.1 200 OK" {
				t.Fatal(got)
			}
			waitFor(t, "nobody waits for a reader who does not read", func() bool {
				crowd := s.listener.Load()
				crowd.mu.Lock()
				defer crowd.mu.Unlock()
				return len(crowd.conns) == 0
			})
			if n, _ := io.Copy(io.Discard, c); n >= 16<<20 {
				t.Error("the kernel kept it all: the test says nothing")
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
		t.Errorf("%d of 200 were not answered, though there is room for %d", lost, maxConns)
	}
	if code, _ := s.get(t, "/healthz"); code != 200 {
		t.Errorf("afterwards: %d", code)
	}
}
