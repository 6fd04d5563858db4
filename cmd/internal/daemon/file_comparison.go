package daemon

import (
	"errors"
	"fmt"
	"io/fs"
	"sync"
	"time"

	"replypath/cmd/internal/config"
	"replypath/cmd/internal/configstore"
	"replypath/health"
)

// fileComparison compares the configuration file with the configuration in force. Safe for concurrent use.
type fileComparison struct {
	path  string
	store configstore.Store

	mu        sync.Mutex
	inForce   loadedConfig
	confirmBy time.Time // zero: it is confirmed
	compared  time.Time
	status    health.ConfigurationStatus
}

// use sets the configuration in force, and until when it must be confirmed; zero: it need not be.
func (f *fileComparison) use(inForce loadedConfig, confirmBy time.Time) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.inForce, f.confirmBy = inForce, confirmBy
	f.compare()
}

// update compares again.
func (f *fileComparison) update() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.compare()
}

// updateIfOld compares again unless that was done a moment ago.
func (f *fileComparison) updateIfOld() {
	f.mu.Lock()
	defer f.mu.Unlock()
	if time.Since(f.compared) > resyncInterval/2 {
		f.compare()
	}
}

// Status returns the result of the last comparison.
func (f *fileComparison) Status() health.ConfigurationStatus {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.status
}

func (f *fileComparison) compare() {
	f.compared = time.Now()
	f.status = health.ConfigurationStatus{File: f.path, InForce: health.Confirmed}
	if !f.confirmBy.IsZero() {
		by := f.confirmBy
		f.status.InForce, f.status.ConfirmBy = health.Unconfirmed, &by
	} else if len(f.inForce.Uplinks) == 0 {
		f.status.InForce = health.NoneInForce
	}
	f.status.State, f.status.Why, f.status.Remedy = f.compareFile()
}

func (f *fileComparison) compareFile() (state health.FileState, why, remedy string) {
	files, err := config.ReadFiles(f.path)
	if err == nil && f.inForce.files.SameText(files) {
		return health.FileInForce, "", ""
	}
	file := loadedConfig{files: files}
	if err == nil {
		file.Config, err = files.Resolve()
	}
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return health.FileMissing, fmt.Sprintf("%s does not exist any more", f.path), "write it, or undo everything: systemctl disable --now replypath; replypath flush"
	case err != nil:
		return health.FileInvalid, fmt.Sprintf("%s cannot be used: %s", f.path, firstLine(err.Error())), "correct it: replypath check; then: replypath reload"
	case f.inForce.Equal(file.Config):
		return health.FileInForce, "", ""
	case isUnconfirmed(f.store, file):
		return health.FileUnconfirmed, fmt.Sprintf("%s was applied and not confirmed in time", f.path), "correct it, or use it all the same: replypath reload"
	}
	return health.FileChanged, fmt.Sprintf("%s says something else", f.path), "use it: replypath reload"
}
