package daemon

import (
	"log/slog"
	"sync/atomic"
	"time"

	"replypath/cmd/internal/config"
	"replypath/cmd/internal/configstore"
)

// saveRetryInterval is the time between two attempts to save a configuration.
const saveRetryInterval = resyncInterval / 2

// configurationSaver saves what was confirmed, and what waits for it. The service works on while that fails, and saves it later.
// It is owned by the goroutine of the loop, but for unsaved.
type configurationSaver struct {
	store   configstore.Store
	log     *slog.Logger
	failed  func() error // the last save, if it failed
	tried   time.Time
	unsaved atomic.Pointer[string] // why the last save failed; nil: it did not
}

// confirm saves a configuration that needs no confirmation.
func (s *configurationSaver) confirm(files config.Files) {
	if files != nil {
		s.save(func() error { return s.store.Confirm(files) })
	}
}

// confirmNew saves a configuration that needs no confirmation, unless it is saved already.
func (s *configurationSaver) confirmNew(files config.Files) {
	if saved, err := s.store.Confirmed(); err != nil || !saved.Files.SameText(files) {
		s.confirm(files)
	}
}

// awaitConfirmation saves a configuration that is not confirmed yet.
func (s *configurationSaver) awaitConfirmation(files config.Files) {
	s.save(func() error { return s.store.AwaitConfirmation(files) })
}

func (s *configurationSaver) save(what func() error) {
	err := what()
	s.tried = time.Now()
	before := s.unsaved.Load()
	if err == nil {
		s.failed = nil
		if s.unsaved.Store(nil); before != nil {
			s.log.Info("the configuration is saved again")
		}
		return
	}
	text := err.Error()
	s.failed = what
	if s.unsaved.Store(&text); before == nil {
		s.log.Warn("cannot save the configuration: the service works on, but the next start may use an older configuration, or one that was not confirmed",
			"err", err, "remedy", "make room in its directory, or make it writable: the service then saves it within 30 seconds")
	}
}

// retry saves again what could not be saved.
func (s *configurationSaver) retry() {
	if s.failed != nil && time.Since(s.tried) > saveRetryInterval {
		s.save(s.failed)
	}
}
