package icmp

import "testing"

func TestATargetIsAskedByTheSameFewIDs(t *testing.T) {
	s := newIDs()
	seen := map[uint16]bool{}
	for range 1000 {
		var waiting []uint16
		for range 5 {
			id, err := s.take(4094)
			if err != nil {
				t.Fatal(err)
			}
			seen[id] = true
			waiting = append(waiting, id)
		}
		for _, id := range waiting {
			s.free(id)
		}
	}
	if len(seen) != 5 {
		t.Errorf("5 questions at a time took %d identifiers", len(seen))
	}
}

func TestTooManyQuestionsAreRefused(t *testing.T) {
	s := newIDs()
	seen := map[uint16]bool{}
	for i := range idCount {
		id, err := s.take(uint64(i) * 31)
		if err != nil || seen[id] || id&^idMask != s.prefix {
			t.Fatal(i, id, err)
		}
		seen[id] = true
	}
	if _, err := s.take(0); err == nil {
		t.Error("there are no more identifiers, and one was given")
	}
}
