package daemon

// status puts together what the loop has left.
func (s *Service) status() Status {
	r := s.keeper.Report()
	status := Status{Version: 1, InSync: r.InSync, Since: r.Since, Waiting: r.Waiting, Changes: r.Changes, Rounds: r.Rounds, Uplinks: r.Uplinks}
	if r.Err != nil {
		status.Error = r.Err.Error()
	}
	if last := s.reloaded.Load(); last != nil {
		status.Reload = &Reloaded{At: last.At}
		if last.Err != nil {
			status.Reload.Error = last.Err.Error()
		}
	}
	return status
}
