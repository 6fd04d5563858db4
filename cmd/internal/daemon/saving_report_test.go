package daemon

import (
	"bytes"
	"errors"
	"log/slog"
	"strings"
	"testing"
)

func TestUnsavedOriginalsAreReportedOnce(t *testing.T) {
	var logged bytes.Buffer
	h := &fakeHost{unsaved: errors.New("no space left on device")}
	r := savingReport{host: h, log: slog.New(slog.NewTextHandler(&logged, nil))}
	for range 3 {
		r.update()
	}
	if text := logged.String(); strings.Count(text, "\n") != 1 || !strings.Contains(text, "no space left") || !strings.Contains(text, "remedy") || !r.failed.Load() {
		t.Errorf("three rounds on a full disk log:\n%s", text)
	}
	logged.Reset()
	h.unsaved = nil
	r.update()
	if text := logged.String(); !strings.Contains(text, "saved again") || r.failed.Load() {
		t.Errorf("room again: %s", text)
	}
}
