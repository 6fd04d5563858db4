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
func (s *site) dial(t *testing.T, words string) net.Conn {
	t.Helper()
	c, err := net.Dial("tcp", strings.TrimPrefix(s.base, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	if _, err := io.WriteString(c, words); err != nil {
		t.Fatal(err)
	}
	if err := c.SetReadDeadline(time.Now().Add(2 * time.Minute)); err != nil {
		t.Fatal(err)
	}
	return c
}

// line is the first line of the answer.
func line(t *testing.T, c net.Conn) string {
	t.Helper()
	text, err := bufio.NewReader(c).ReadString('\n')
	if err != nil {
		t.Fatalf("no answer: %v", err)
	}
	return strings.TrimSpace(text)
}

func TestMalformedRequestsAreRefused(t *testing.T) {
	s := open(t)
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
		if got := line(t, s.dial(t, words)); got != want {
			t.Errorf("%.60q: %s, not %s", words, got, want)
		}
	}
	if code, _ := s.get(t, "/healthz"); code != 200 {
		t.Errorf("afterwards: %d", code)
	}
}

func TestHugeBodyIsNotRead(t *testing.T) {
	s := open(t)
	c := s.dial(t, "GET /healthz HTTP/1.1\r\nHost: localhost\r\nContent-Length: 99999999999\r\n\r\n")
	if got := line(t, c); got != "HTTP/1.1 200 OK" {
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

func TestSlowRequestIsGivenUp(t *testing.T) {
	t.Parallel()
	s := open(t)
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

func TestSilentClientsKeepNobodyOut(t *testing.T) {
	s := open(t)
	for i := range 3 * connections {
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
func TestCrowdHasAnEnd(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	c := newCrowd(l)
	t.Cleanup(func() { c.Close() })
	var guests []*guest
	for range connections {
		ours, theirs := net.Pipe()
		t.Cleanup(func() { theirs.Close() })
		g := c.enter(ours)
		g.answer(true)
		guests = append(guests, g)
	}
	newcomer, other := net.Pipe()
	defer other.Close()
	if c.enter(newcomer) != nil {
		t.Error("there is room beside those who are being answered")
	}
	guests[5].answer(false)
	guests[3].answer(false)
	if c.enter(newcomer) == nil {
		t.Error("who waits makes no room")
	}
	if _, err := guests[5].Write([]byte("x")); err == nil {
		t.Error("not who has waited longest made room")
	}
	if len(c.guests) != connections {
		t.Errorf("%d are in", len(c.guests))
	}
	for _, g := range slices.Clone(c.guests) {
		g.Close()
	}
	if len(c.guests) != 0 {
		t.Errorf("%d are in after all have gone", len(c.guests))
	}
}

// huge is a status that no socket buffer holds.
func huge(h *health.Status) {
	h.Problems = []string{strings.Repeat("x", 16<<20)}
}

func TestSlowReaderIsGivenUp(t *testing.T) {
	t.Parallel()
	for _, path := range []string{"/status", "/events"} {
		t.Run(path, func(t *testing.T) {
			t.Parallel()
			s := open(t)
			s.write(huge)
			c := s.dial(t, fmt.Sprintf("GET %s HTTP/1.1\r\nHost: localhost\r\n\r\n", path))
			if got := line(t, c); got != "HTTP/1.1 200 OK" {
				t.Fatal(got)
			}
			until(t, "nobody waits for a reader who does not read", func() bool {
				crowd := s.crowd.Load()
				crowd.mu.Lock()
				defer crowd.mu.Unlock()
				return len(crowd.guests) == 0
			})
			if n, _ := io.Copy(io.Discard, c); n >= 16<<20 {
				t.Error("the kernel kept it all: the test says nothing")
			}
		})
	}
}

func TestManyRequestsAtOnceAreAnswered(t *testing.T) {
	s := open(t)
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
	if lost > 200-connections {
		t.Errorf("%d of 200 were not answered, though there is room for %d", lost, connections)
	}
	if code, _ := s.get(t, "/healthz"); code != 200 {
		t.Errorf("afterwards: %d", code)
	}
}
