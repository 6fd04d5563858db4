package main

import (
	"io"
	"strings"
	"testing"

	"replypath/cmd/terminal"
	"replypath/health"
)

func TestStatusNamesWhatTheFileAndTheConfigurationInForceDifferIn(t *testing.T) {
	by := testTime
	unconfirmed := health.ConfigurationStatus{State: health.FileUnconfirmed, Why: "F was applied and not confirmed in time", Remedy: "correct it"}
	for name, c := range map[string]struct {
		configuration health.ConfigurationStatus
		refused       string
		want          string
	}{
		"the file is in force":    {health.ConfigurationStatus{State: health.FileInForce}, "", ""},
		"the file has changed":    {health.ConfigurationStatus{State: health.FileChanged, Why: "F says something else", Remedy: "use it"}, "", "config    F says something else, which is not in force: use it\n"},
		"the file is unconfirmed": {unconfirmed, "", "config    F was applied and not confirmed in time, which is not in force:\n          correct it\n"},
		"the reload says it":      {unconfirmed, "F was refused", ""},
		"it awaits confirmation":  {health.ConfigurationStatus{State: health.FileInForce, ConfirmBy: &by}, "", "config    is rolled back at 2026-03-04 12:00:00 unless it is confirmed:\n          replypath confirm\n"},
		"it cannot be saved":      {health.ConfigurationStatus{State: health.FileInForce, Unsaved: "no space"}, "", "config    is not saved for the next start: no space\n"},
	} {
		t.Run(name, func(t *testing.T) {
			s := health.Status{Configuration: &c.configuration, Reload: &health.ReloadStatus{Error: c.refused}}
			got := ""
			for line := range strings.Lines(statusText(s, testTime, terminal.NewPalette(io.Discard))) {
				if strings.HasPrefix(line, "config") || got != "" && strings.HasPrefix(line, " ") {
					got += line
				}
			}
			if got != c.want {
				t.Errorf("%q, want %q", got, c.want)
			}
		})
	}
}
