package doctor

import (
	"testing"

	"replypath/marks/foreign"
)

func TestQueuesThatNoProgramReadsAreFound(t *testing.T) {
	for rule, want := range map[string]bool{
		"-A INPUT -j NFQUEUE --queue-num 3":                      false,
		"-A INPUT -j NFQUEUE --queue-num 4":                      true,
		"-A INPUT -p tcp -j NFQUEUE --queue-num 0":               true,
		"-A INPUT -j NFQUEUE --queue-balance 2:3":                false,
		"-A INPUT -j NFQUEUE --queue-balance 3:4":                true,
		"-A INPUT -j NFQUEUE --queue-balance 3:4 --queue-bypass": false,
		"-A INPUT -j ACCEPT":                                     false,
	} {
		s := Snapshot{Queues: []uint16{2, 3}, QueuesKnown: true}
		s.Firewall, _ = foreign.ParseSave("iptables-save", "*filter\n"+rule+"\nCOMMIT\n")
		found := s.checkQueues()
		if got := len(found) == 1 && found[0].ID == "queue-unread"; got != want {
			t.Errorf("%s: %+v", rule, found)
		}
		s.QueuesKnown = false
		if found := s.checkQueues(); len(found) != 0 {
			t.Errorf("%s, unknown queues: %+v", rule, found)
		}
	}
}
