package daemon

import (
	"context"
	"strings"
	"testing"

	"replypath/cmd/internal/control"
)

func TestReloadOfAnotherConfigurationFileIsRefused(t *testing.T) {
	s := &Service{ConfigFile: "/etc/replypath.toml", requests: make(chan loopRequest, 1)}
	ctx, stop := context.WithCancel(t.Context())
	stop()
	err := s.Reload(ctx, control.Reload{ConfigFile: "/root/other.toml"})
	if err == nil || !strings.Contains(err.Error(), s.ConfigFile) || !strings.Contains(err.Error(), "/root/other.toml") {
		t.Errorf("%v, want an error that names both files", err)
	}
	if len(s.requests) != 0 {
		t.Error("the loop got the request")
	}
}
