package icmp

import (
	"encoding/binary"
	"errors"
	"net/netip"
	"testing"
)

// reply is what answers a question with that stamp.
func reply(s stamp) []byte {
	b := make([]byte, echoSize)
	binary.BigEndian.PutUint16(b[6:], s.seq)
	copy(b[headerSize+timeSize:], s.tracker[:])
	return b
}

func TestOnlyItsAnswerAnswersAQuestion(t *testing.T) {
	ours := stamp{tracker: [trackerSize]byte{1, 2, 3}, seq: 7}
	for name, c := range map[string]struct {
		reply    []byte
		answered bool
		odd      error
	}{
		"its answer":                             {reply: reply(ours), answered: true},
		"a late answer to the question before":   {reply: reply(stamp{ours.tracker, ours.seq - 1})},
		"an answer to a pinger that was before":  {reply: reply(stamp{[trackerSize]byte{9}, ours.seq}), odd: errChanged},
		"an answer that was longer than it asks": {reply: append(reply(ours), 0)},
		"an answer that was cut":                 {reply: reply(ours)[:echoSize-1]},
		"the header alone, as it comes by lo":    {reply: reply(ours)[:headerSize], odd: errOwn},
	} {
		q := newQuestion(1, netip.MustParseAddr("192.0.2.1"))
		q.hear(c.reply, arrival{})
		if q.answered() {
			t.Errorf("%s: it answers a question that has not left", name)
		}
		q.leaves(ours)
		q.hear(c.reply, arrival{index: 5})
		if _, odd := q.fate(); q.answered() != c.answered || !errors.Is(odd, c.odd) {
			t.Errorf("%s: answered %v, %v", name, q.answered(), odd)
		}
	}
}

func TestASecondCopyCountsForNothing(t *testing.T) {
	q := newQuestion(1, netip.MustParseAddr("192.0.2.1"))
	q.leaves(stamp{})
	q.hear(reply(stamp{}), arrival{index: 5})
	q.hear(reply(stamp{}), arrival{index: 6})
	if q.came.index != 5 {
		t.Errorf("it came in by link %d, not 5", q.came.index)
	}
}
