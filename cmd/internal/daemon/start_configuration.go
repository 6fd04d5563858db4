package daemon

import (
	"errors"
	"fmt"
	"time"

	"replypath/cmd/internal/config"
	"replypath/cmd/internal/configstore"
	"replypath/cmd/internal/rollback"
	"replypath/health"
	"replypath/uplinks"
)

// loadedConfig is a configuration with its texts.
type loadedConfig struct {
	config.Config
	files config.Files // nil: it is of no file
}

// loadFile reads the configuration file.
func loadFile(path string) (loadedConfig, error) {
	files, err := config.ReadFiles(path)
	if err != nil {
		return loadedConfig{}, err
	}
	c, err := files.Resolve()
	return loadedConfig{c, files}, err
}

// startConfiguration is what the service starts with.
type startConfiguration struct {
	loadedConfig
	settings uplinks.Settings // of the kernel
	refused  error            // why it is not that of the file; nil: it is
	pending  bool             // it waits for its confirmation
	previous *loadedConfig    // what a change that waits for its confirmation is rolled back to; nil: its settings alone are known
}

// chooseConfiguration returns what the service starts with: the file, unless that is broken or was never confirmed. Then it is
// the last confirmed configuration. A change that waits for its confirmation in this boot stays in force. It returns the error
// of a broken file when no configuration is saved.
func chooseConfiguration(path string, store configstore.Store, t *rollback.Transaction) (startConfiguration, error) {
	file, broken := loadFile(path)
	saved, unsaved := store.Confirmed()
	switch {
	case broken != nil && errors.Is(unsaved, configstore.ErrNone):
		return startConfiguration{}, broken
	case broken != nil && unsaved != nil:
		return startConfiguration{}, fmt.Errorf("%w\nand the last confirmed configuration cannot be used either: %w", broken, unsaved)
	case broken != nil:
		return startWithSaved(saved, fmt.Errorf("%s cannot be used, so that the last confirmed configuration is in force, %s: correct the file, then: replypath reload: %w",
			path, ofDate(saved), broken)), nil
	case unsaved == nil && saved.Equal(file.Config):
		return startConfiguration{loadedConfig: file, settings: file.Settings}, nil
	case t.Armed() && t.Changes(file.Settings):
		s := startConfiguration{loadedConfig: file, settings: file.Settings, pending: true}
		if unsaved == nil && t.RestoresTo(saved.Settings) {
			s.previous = &loadedConfig{saved.Config, saved.Files}
		}
		return s, nil
	case !t.RolledBack(file.Settings) && (t.Committed(file.Settings) || !isUnconfirmed(store, file)):
		return startConfiguration{loadedConfig: file, settings: file.Settings}, nil
	case unsaved == nil:
		return startWithSaved(saved, fmt.Errorf("%s was applied and never confirmed, so that the last confirmed configuration is in force, %s: correct the file, or use it all the same: replypath reload",
			path, ofDate(saved))), nil
	}
	return startWithout(path, file, t), nil
}

func startWithSaved(saved configstore.Saved, why error) startConfiguration {
	return startConfiguration{loadedConfig: loadedConfig{saved.Config, saved.Files}, settings: saved.Settings, refused: why}
}

// startWithout returns the start without a saved configuration for a file that was not confirmed: with what it was rolled
// back to in this boot, which after a boot is nothing.
func startWithout(path string, file loadedConfig, t *rollback.Transaction) startConfiguration {
	s := startConfiguration{loadedConfig: loadedConfig{Config: file.Config}, settings: t.Previous()}
	if s.Settings = s.settings; len(s.settings.Uplinks) > 0 {
		s.refused = errUnconfirmed
		return s
	}
	s.Health.Uplinks = nil
	s.refused = fmt.Errorf("%s was applied and never confirmed, and no other configuration was: nothing is in force: correct the file, or use it all the same: replypath reload", path)
	return s
}

// isUnconfirmed reports whether the file says what was applied and never confirmed.
func isUnconfirmed(store configstore.Store, file loadedConfig) bool {
	unconfirmed, err := store.Unconfirmed()
	return err == nil && unconfirmed.Equal(file.Config)
}

func ofDate(saved configstore.Saved) string { return "of " + saved.At.Local().Format(time.DateTime) }

// endOtherTransaction forgets a pending change that is neither in force nor rolled back from these settings: the file has
// changed since.
func (s startConfiguration) endOtherTransaction(t *rollback.Transaction) error {
	if s.pending || s.refused != nil && !t.Armed() {
		return nil
	}
	return t.Cancel()
}

// reportStart reports a file that is not in force although the service starts.
func (c *configuration) reportStart(s startConfiguration) {
	switch {
	case s.refused != nil:
		c.log.Error("the configuration file is not in force", "err", s.refused)
		c.reloads.last.Store(&reloadResult{time.Now(), s.refused})
		c.recorder.Record(health.Event{Kind: eventReload, To: "refused", Text: firstLine(s.refused.Error())})
	case s.pending:
		c.log.Warn("the configuration waits for its confirmation", "remaining", c.transaction.Remaining().Round(time.Second), "remedy", "replypath confirm")
		c.saver.awaitConfirmation(s.files)
	}
}
