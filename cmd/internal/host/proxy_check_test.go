package host

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"replypath/uplinks"

	"golang.org/x/sys/unix"
)

func TestCheckOfAProxyWantsAnAnswer(t *testing.T) {
	t.Parallel()
	hangs := make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/moved":
			http.Redirect(w, r, "http://192.0.2.1/", http.StatusFound)
		case "/broken":
			http.Error(w, "broken", http.StatusServiceUnavailable)
		case "/hangs":
			<-hangs
		}
	}))
	t.Cleanup(server.Close)
	t.Cleanup(func() { close(hangs) })
	closed, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	closed.Close()
	at := server.Listener.Addr().String()
	for check, want := range map[string]string{
		"http://" + at + "/":                     "",
		"http://" + at + "/moved":                "",
		"http://" + at + "/broken":               "status 503",
		"http://" + at + "/hangs":                "no answer within 1s",
		"tcp://" + at:                            "",
		"tcp://" + closed.Addr().String():        "connection refused",
		"http://" + closed.Addr().String() + "/": "connection refused",
	} {
		if err := sendCheck(t.Context(), check); (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", check, err, want)
		}
	}
}

func TestProxyFailsAfterThreeChecksAndAnswersAfterTwo(t *testing.T) {
	t.Parallel()
	failed := errors.New("no answer")
	var r checkRecord
	for i, step := range []struct {
		err     error
		failing bool
	}{
		{failed, false}, {failed, false}, {nil, false}, {failed, false}, {failed, false}, {failed, true}, {nil, true}, {failed, true}, {nil, true}, {nil, false}, {failed, false},
	} {
		if r = r.next(step.err); r.failing != step.failing {
			t.Errorf("after check %d: failing %t", i+1, r.failing)
		}
	}
}

func TestChecksAreForgottenWhenTheSocketIsGone(t *testing.T) {
	t.Parallel()
	s := proxyState{}.next(uplinks.ProxyListening, time.Now())
	for range proxyCheckFall {
		s.check = s.check.next(errors.New("no answer"))
	}
	if s.state() != uplinks.ProxyNotAnswering {
		t.Errorf("state %q", s.state())
	}
	began := time.Now()
	if s = s.next(uplinks.ProxyNobody, began); s.state() != uplinks.ProxyNobody {
		t.Errorf("state %q", s.state())
	}
	s = s.next(uplinks.ProxyListening, began)
	if s = s.next(uplinks.ProxyListening, began.Add(proxySettleTime)); s.state() != uplinks.ProxyListening {
		t.Errorf("state %q of another process", s.state())
	}
}

// A proxy that accepts nothing any more answers until its backlog is full. The checks themselves do not fill it.
func TestTCPCheckFailsWhenTheBacklogIsFull(t *testing.T) {
	t.Parallel()
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	if err := unix.Bind(fd, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}); err != nil {
		t.Fatal(err)
	}
	if err := unix.Listen(fd, 0); err != nil {
		t.Fatal(err)
	}
	bound, err := unix.Getsockname(fd)
	if err != nil {
		t.Fatal(err)
	}
	at := fmt.Sprintf("127.0.0.1:%d", bound.(*unix.SockaddrInet4).Port)
	for range 3 {
		if err := sendCheck(t.Context(), "tcp://"+at); err != nil {
			t.Fatal(err)
		}
	}
	c, err := net.Dial("tcp", at)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if err := sendCheck(t.Context(), "tcp://"+at); err == nil || !strings.Contains(err.Error(), "no answer within 1s") {
		t.Errorf("with a full backlog: %v", err)
	}
}

// Proxies without a check are not asked.
func TestOnlyProxiesThatListenAreChecked(t *testing.T) {
	t.Parallel()
	check := "tcp://127.0.0.1:1"
	asked, gone, unchecked := uplinks.Proxy{Port: 1, Check: check}, uplinks.Proxy{Port: 2, Check: "tcp://127.0.0.1:2"}, uplinks.Proxy{Port: 3}
	listening := proxyState{seen: uplinks.ProxyListening, inUse: uplinks.ProxyListening}
	w := proxyWatch{states: map[uplinks.Proxy]proxyState{asked: listening, gone: {seen: uplinks.ProxyNobody}, unchecked: listening}}
	if got := w.checked(); len(got) != 1 || !got[check] {
		t.Errorf("checks %v", got)
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if w.check(ended); w.states[asked].check.failures != 0 {
		t.Error("a check that was cancelled counts as failed")
	}
}
