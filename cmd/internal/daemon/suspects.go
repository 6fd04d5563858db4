package daemon

import (
	"maps"
	"sync"

	"replypath/uplinks"
)

// suspects records which program last changed what, as far as the kernel reports it. Safe for concurrent use.
type suspects struct {
	mu        sync.Mutex
	bySubject map[string]string
}

func newSuspects() *suspects { return &suspects{bySubject: map[string]string{}} }

// Set records the origin of an event, by the subject of the event.
func (s *suspects) Set(subject, origin string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.bySubject[subject] = origin
}

// Snapshot returns a copy, by subject.
func (s *suspects) Snapshot() map[string]string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return maps.Clone(s.bySubject)
}

// eventSubject returns the Subject of the host.Event that another program's change of the step's object causes. The kernel
// does not report who sets a sysctl.
func eventSubject(s uplinks.Step) string {
	switch kind := s.Kind(); kind {
	case uplinks.KindChains:
		return "firewall"
	case uplinks.KindSysctl:
		return ""
	default:
		return string(kind)
	}
}
