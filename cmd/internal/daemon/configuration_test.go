package daemon

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"replypath/cmd/internal/config"
	"replypath/cmd/internal/control"
	"replypath/cmd/internal/rollback"
	"replypath/uplinks"
	"replypath/uplinks/uplinkstest"
)

// writeConfig writes a configuration of these uplinks on the links of uplinkstest.Facts, and returns its path.
func writeConfig(t *testing.T, path string, links ...string) {
	t.Helper()
	var text strings.Builder
	for i, link := range links {
		fmt.Fprintf(&text, "[uplinks.u%s]\nid = %d\ninterface = %[1]q\ngateway = \"auto\"\n", link, i+1)
	}
	if err := os.WriteFile(path, []byte(text.String()), 0o600); err != nil {
		t.Fatal(err)
	}
}

// newReloadTest returns a service of a configuration file with the uplink eth0, on a fake host.
func newReloadTest(t *testing.T) (s *Service, h *fakeHost, file string) {
	t.Helper()
	file = filepath.Join(t.TempDir(), "replypath.toml")
	writeConfig(t, file, "eth0")
	c, err := loadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	h = &fakeHost{Kernel: uplinkstest.NewFake(uplinkstest.Facts())}
	s = newService(Options{ConfigFile: file, StateDir: t.TempDir(), Log: discardLog}, startConfiguration{loadedConfig: c, settings: c.Settings}, dependencies{h, noProver{}, nil, newTransaction(t), &rollback.Restore{}, newEarlyEndpoint(discardLog, "", config.Config{}), nil})
	return s, h, file
}

func linksOf(s uplinks.Settings) (links []string) {
	for _, u := range s.Uplinks {
		links = append(links, u.Link)
	}
	return links
}

// submit makes the next round execute a request.
func submit(t *testing.T, s *Service, r request) error {
	t.Helper()
	p := pendingRequest{r, make(chan error, 1)}
	s.requests.pending <- p
	s.loop.rounds.RunRound(t.Context(), "test")
	return <-p.result
}

func wantLinks(t *testing.T, when string, s *Service, want ...string) {
	t.Helper()
	if got := linksOf(s.reconciler.Settings()); !reflect.DeepEqual(got, want) {
		t.Errorf("%s: the settings have %v, want %v", when, got, want)
	}
	if got := linksOf(s.configuration.inForce.Settings); !reflect.DeepEqual(got, want) {
		t.Errorf("%s: the configuration in force has %v, want %v", when, got, want)
	}
}

func TestReloadOfAnotherFileIsRefused(t *testing.T) {
	s, _, file := newReloadTest(t)
	ctx, stop := context.WithCancel(t.Context())
	stop()
	err := s.Reload(ctx, control.Reload{ConfigFile: "/root/other.toml"})
	if err == nil || !strings.Contains(err.Error(), file) || !strings.Contains(err.Error(), "/root/other.toml") {
		t.Errorf("%v, want an error that names both files", err)
	}
	if len(s.requests.pending) != 0 {
		t.Error("the loop got the request")
	}
}

func TestReloadPutsTheFileInForce(t *testing.T) {
	s, _, file := newReloadTest(t)
	writeConfig(t, file, "eth0", "eth1")
	if err := submit(t, s, reloadRequest{}); err != nil {
		t.Fatal(err)
	}
	wantLinks(t, "after the reload", s, "eth0", "eth1")
	if err := os.WriteFile(file, []byte("uplinks = 7\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := submit(t, s, reloadRequest{}); err == nil || s.Status().Reload.Error == "" {
		t.Errorf("a file with mistakes: %v", err)
	}
	wantLinks(t, "after a reload that is refused", s, "eth0", "eth1")
}

func TestUnconfirmedReloadIsRolledBackAtItsDeadlineOnly(t *testing.T) {
	s, h, file := newReloadTest(t)
	writeConfig(t, file, "eth0", "eth1")
	if err := submit(t, s, reloadRequest{confirmWithin: time.Hour}); err != nil {
		t.Fatal(err)
	}
	for range 3 {
		s.loop.rounds.RunRound(t.Context(), "test")
	}
	wantLinks(t, "before the deadline", s, "eth0", "eth1")
	if err := submit(t, s, reloadRequest{confirmWithin: time.Nanosecond}); err != nil {
		t.Fatal(err)
	}
	reconfigured := len(h.backends)
	next := s.loop.rounds.RunRound(t.Context(), "test")
	wantLinks(t, "after the deadline", s, "eth0")
	if len(h.backends) != reconfigured+1 || next <= 0 {
		t.Errorf("the host was reconfigured %d times, the next round is in %s", len(h.backends)-reconfigured, next)
	}
	if r := s.Status().Reload; r == nil || !strings.Contains(r.Error, "not confirmed in time") || !strings.Contains(r.Error, "differs from the file") {
		t.Errorf("the status does not say that the file is not in force: %+v", r)
	}
	if err := submit(t, s, confirmRequest{}); !errors.Is(err, rollback.ErrNothingPending) {
		t.Errorf("a confirmation that comes too late: %v", err)
	}
}

func TestRoundComesAtTheDeadline(t *testing.T) {
	s, _, _ := newReloadTest(t)
	if err := submit(t, s, reloadRequest{confirmWithin: 7 * time.Second}); err != nil {
		t.Fatal(err)
	}
	if next := s.loop.rounds.RunRound(t.Context(), "test"); next > 7*time.Second {
		t.Errorf("the next round is in %s", next)
	}
}

func TestConfirmedReloadStays(t *testing.T) {
	s, _, file := newReloadTest(t)
	writeConfig(t, file, "eth1")
	if err := submit(t, s, reloadRequest{confirmWithin: time.Hour}); err != nil {
		t.Fatal(err)
	}
	if err := submit(t, s, confirmRequest{}); err != nil {
		t.Fatal(err)
	}
	if s.configuration.transaction.Armed() {
		t.Error("a rollback is still armed")
	}
	wantLinks(t, "after the confirmation", s, "eth1")
}
