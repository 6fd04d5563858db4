package main

import (
	"replypath/cmd/internal/daemon"
	"replypath/health"
)

// known is what the service says of itself.
func known(s daemon.Status) health.Status {
	all := health.Status{Version: health.StatusVersion}
	all.Sync = health.Sync{InSync: s.InSync, Since: s.Since, Error: s.Error, Waiting: s.Waiting, Changes: s.Changes, Rounds: s.Rounds}
	if s.Reload != nil {
		all.Reload = &health.Reloaded{At: s.Reload.At, Error: s.Reload.Error}
	}
	return all
}
