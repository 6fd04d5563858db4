package control

import (
	"context"
	"encoding/json"
	"errors"
	"maps"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"replypath/health"
	"replypath/uplinks"
)

// fakeService records the requests that it carries out.
type fakeService struct {
	mu       sync.Mutex
	reloads  []Reload
	confirms int
	err      error
}

func (s *fakeService) Reload(_ context.Context, r Reload) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.reloads = append(s.reloads, r)
	return s.err
}

func (*fakeService) Drain(context.Context, Drain) error { return nil }

func (s *fakeService) Confirm(context.Context) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.confirms++
	return s.err
}

func (s *fakeService) Status() health.Status { return health.Status{Build: "test"} }

// fakeVerdicts are those of a fakeService.
var fakeVerdicts = uplinks.Verdicts{{Uplink: "lte", Family: uplinks.IPv6}: uplinks.VerdictUp, {Uplink: "lte", Family: uplinks.IPv4}: uplinks.VerdictHeld,
	{Uplink: "fibre", Family: uplinks.IPv4}: uplinks.VerdictDown}

func (s *fakeService) Verdicts() []health.PathVerdict { return health.ListVerdicts(fakeVerdicts) }

// serve starts a server for the service until the test ends, and returns a client of it.
func serve(t *testing.T, service Service) Client {
	t.Helper()
	dir, err := os.MkdirTemp("", "control") // t.TempDir is too long for a socket's path (unix(7))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	s, err := Listen(dir)
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error)
	go func() { ended <- s.Serve(ctx, service) }()
	t.Cleanup(func() {
		stop()
		<-ended
	})
	return Client{dir}
}

func TestRequestsReachTheService(t *testing.T) {
	s := &fakeService{}
	c := serve(t, s)
	want := Reload{ConfigFile: "/etc/replypath.toml", ConfirmWithin: time.Minute}
	if err := c.Reload(t.Context(), want); err != nil || len(s.reloads) != 1 || s.reloads[0] != want {
		t.Errorf("reloads %+v, %v; want %+v", s.reloads, err, want)
	}
	if err := c.Confirm(t.Context()); err != nil || s.confirms != 1 {
		t.Errorf("%d confirmations, %v", s.confirms, err)
	}
	if status, err := c.Status(t.Context()); err != nil || status.Build != "test" {
		t.Errorf("status %+v, %v", status, err)
	}
	verdicts, err := c.Verdicts(t.Context())
	if got := health.VerdictsOf(verdicts); err != nil || !maps.Equal(got, fakeVerdicts) || verdicts[0].Uplink != "fibre" || verdicts[1].Family != uplinks.IPv4 {
		t.Errorf("verdicts %v, %v", verdicts, err)
	}
	s.err = errors.New("refused")
	if err := c.Reload(t.Context(), want); err == nil || err.Error() != "refused" {
		t.Errorf("the service's error arrives as %v", err)
	}
}

func TestRequestOfAnotherNamespaceIsNotCarriedOut(t *testing.T) {
	s := &fakeService{}
	if got := carryOut(t.Context(), request{Do: doReload, Namespace: 1}, s); !got.Elsewhere || len(s.reloads) != 0 {
		t.Errorf("%+v, and %d reloads", got, len(s.reloads))
	}
}

func TestUnknownRequestIsAnError(t *testing.T) {
	c := serve(t, &fakeService{})
	if _, err := c.call(t.Context(), request{Do: "dance"}); err == nil || !strings.Contains(err.Error(), `"dance"`) {
		t.Errorf("%v", err)
	}
}

func TestSecondServerIsRefused(t *testing.T) {
	c := serve(t, &fakeService{})
	if _, err := Listen(c.StateDir); err == nil || !strings.Contains(err.Error(), "--state") {
		t.Errorf("%v", err)
	}
}

func TestSilentCallersDoNotBlockOthers(t *testing.T) {
	c := serve(t, &fakeService{})
	for _, sent := range []string{"", "{", `{"do":`} {
		for range 70 {
			conn, err := net.Dial("unix", filepath.Join(c.StateDir, SocketName))
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			_, _ = conn.Write([]byte(sent)) // the server may have closed it
		}
		began := time.Now()
		if _, err := c.Status(t.Context()); err != nil {
			t.Errorf("a caller after 70 that sent %q: %v", sent, err)
		}
		if took := time.Since(began); took > requestTimeout/2 {
			t.Errorf("a caller after 70 that sent %q waits for %s", sent, took)
		}
	}
}

func TestUnreadResponsesDoNotBlockOthers(t *testing.T) {
	c := serve(t, &fakeService{})
	for range 3 * MaxCalls {
		conn, err := net.Dial("unix", filepath.Join(c.StateDir, SocketName))
		if err != nil {
			t.Fatal(err)
		}
		if err := json.NewEncoder(conn).Encode(request{Do: doStatus}); err != nil {
			t.Fatal(err)
		}
		conn.Close()
	}
	if _, err := c.Status(t.Context()); err != nil {
		t.Error(err)
	}
}
