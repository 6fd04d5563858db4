package daemon

import (
	"replypath/cmd/internal/host"
	"replypath/uplinks"
)

// name gives the tables their names. No reply depends on it.
func (s *Service) name(settings uplinks.Settings) {
	if err := host.NameTables(settings); err != nil {
		s.Log.Warn("ip(8) shows the tables by their numbers", "err", err)
	}
}
