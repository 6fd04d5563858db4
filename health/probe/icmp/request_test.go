package icmp

import (
	"encoding/binary"
	"errors"
	"net/netip"
	"testing"
)

// replyTo returns the echo reply to a request with that stamp.
func replyTo(s stamp) []byte {
	b := make([]byte, echoLen)
	binary.BigEndian.PutUint16(b[6:], s.seq)
	copy(b[headerLen+timeLen:], s.tracker[:])
	return b
}

func TestOnlyItsOwnReplyAnswersARequest(t *testing.T) {
	own := stamp{tracker: [trackerLen]byte{1, 2, 3}, seq: 7}
	for name, c := range map[string]struct {
		reply    []byte
		answered bool
		mismatch error
	}{
		"its reply":                            {reply: replyTo(own), answered: true},
		"a late reply to the previous request": {reply: replyTo(stamp{own.tracker, own.seq - 1})},
		"a reply to an earlier pinger":         {reply: replyTo(stamp{[trackerLen]byte{9}, own.seq}), mismatch: errPayload},
		"a reply that is too long":             {reply: append(replyTo(own), 0)},
		"a truncated reply":                    {reply: replyTo(own)[:echoLen-1]},
		"the header alone, as received on lo":  {reply: replyTo(own)[:headerLen], mismatch: errLoopback},
	} {
		r := newRequest(1, netip.MustParseAddr("192.0.2.1"))
		r.accept(c.reply, arrival{})
		if r.isAnswered() {
			t.Errorf("%s: answers a request that was not sent", name)
		}
		r.markSending(own)
		r.accept(c.reply, arrival{ifindex: 5})
		if _, mismatch := r.status(); r.isAnswered() != c.answered || !errors.Is(mismatch, c.mismatch) {
			t.Errorf("%s: answered %v, %v", name, r.isAnswered(), mismatch)
		}
	}
}

func TestADuplicateReplyIsIgnored(t *testing.T) {
	r := newRequest(1, netip.MustParseAddr("192.0.2.1"))
	r.markSending(stamp{})
	r.accept(replyTo(stamp{}), arrival{ifindex: 5})
	r.accept(replyTo(stamp{}), arrival{ifindex: 6})
	if r.reply.ifindex != 5 {
		t.Errorf("the reply arrived on interface %d, want 5", r.reply.ifindex)
	}
}
