package daemon

import (
	"context"
	"log/slog"
	"testing"
	"time"

	"replypath/cmd/internal/config"
	"replypath/cmd/internal/host"
	"replypath/cmd/internal/rollback"
	"replypath/cmd/internal/statedir"
	"replypath/health"
	"replypath/health/proof"
	"replypath/marks"
	"replypath/uplinks"
)

var discardLog = slog.New(slog.DiscardHandler)

// newTestReconciler returns a reconciler that logs nothing.
func newTestReconciler(k uplinks.Kernel, s uplinks.Settings) *Reconciler {
	return NewReconciler(k, discardLog, s, &verdicts{queue: newRoundQueue()}, noListener{})
}

// noListener ignores rounds.
type noListener struct{}

func (noListener) Observed(uplinks.Settings, uplinks.Facts, []uplinks.Scope) {}

func (noListener) Followed(uplinks.Plan, string, []uplinks.ChangedScope) {}

func (noListener) Repaired(uplinks.Plan, string, []uplinks.ChangedScope) {}

// fakeHost is a Host of a fake kernel, without events.
type fakeHost struct {
	uplinks.Kernel
	backends []marks.Backend // of each Reconfigure
	unsaved  error
}

func (h *fakeHost) UnsavedOriginals() error { return h.unsaved }

func (h *fakeHost) Reconfigure(_ context.Context, s uplinks.Settings) error {
	h.backends = append(h.backends, s.Backend)
	return nil
}

func (*fakeHost) Fingerprint() (uint64, error)                       { return 0, nil }
func (*fakeHost) PollFingerprint() (uint64, error)                   { return 0, nil }
func (*fakeHost) ForeignLegacyRules() (uint64, time.Duration, error) { return 0, 0, nil }

func (*fakeHost) ReplyCounts(context.Context, []health.Path) (map[health.Key]health.ReplyCounts, error) {
	return nil, nil
}

func (*fakeHost) NewStrays([]health.Path, time.Duration) (map[health.Key]uint64, error) {
	return nil, nil
}

func (*fakeHost) LinkEvents() host.EventSource { return noEvents{} }

func (*fakeHost) FirewallEvents() host.EventSource { return noEvents{} }

func (*fakeHost) OutputEvents() host.EventSource { return noEvents{} }

func (*fakeHost) RouterEvents() host.EventSource { return noEvents{} }

type noEvents struct{}

func (noEvents) String() string { return "none" }

func (noEvents) Watch(ctx context.Context, _ host.EventHandler) error {
	<-ctx.Done()
	return ctx.Err()
}

// noProver proves nothing.
type noProver struct{}

func (noProver) Prove(context.Context, health.Settings, []health.Path) ([]proof.PathResult, error) {
	return nil, nil
}

func (noProver) InvalidateRules()  {}
func (noProver) InvalidateRoutes() {}

func (noProver) StrayExamples(context.Context, health.Path) (string, error) { return "", nil }

func (noProver) ProveSubset(context.Context, health.Settings, uplinks.Facts, []health.Path, []health.Path) ([]proof.PathResult, error) {
	return nil, nil
}

// newTransaction returns the transaction of an empty state folder.
func newTransaction(t *testing.T) *rollback.Transaction {
	t.Helper()
	d, err := statedir.Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	x, err := rollback.Open(d)
	if err != nil {
		t.Fatal(err)
	}
	return x
}

// newTestService returns a service of the host that starts with the settings.
func newTestService(t *testing.T, h Host, s uplinks.Settings) *Service {
	t.Helper()
	return newService(Options{ConfigFile: "/etc/replypath.toml", StateDir: t.TempDir(), Log: discardLog}, startConfiguration{loadedConfig: loadedConfig{Config: config.Config{Settings: s}}, settings: s}, dependencies{h, noProver{}, nil, newTransaction(t), &rollback.Restore{}, newEarlyEndpoint(discardLog, "", config.Config{}), nil})
}
