package daemon

import (
	"replypath/cmd/internal/host"
	"replypath/uplinks"
)

// writeTableNames gives the tables their names. No reply depends on it.
func (s *Service) writeTableNames(settings uplinks.Settings) {
	if err := host.WriteTableNames(settings); err != nil {
		s.Log.Warn("ip(8) shows the tables by their numbers", "err", err)
	}
}
