package daemon

import (
	"replypath/cmd/internal/iproute"
	"replypath/uplinks"
)

// writeTableNames gives the tables their names. No reply depends on it.
func (s *Service) writeTableNames(settings uplinks.Settings) {
	if err := iproute.WriteTableNames(settings); err != nil {
		s.Log.Warn("ip(8) shows the tables by their numbers", "err", err)
	}
}
