package foreign

import (
	"encoding/binary"
	"testing"

	"replypath/marks/nlattr"
)

func TestQueuesOfARuleOfNftables(t *testing.T) {
	expression := func(number, total, flags uint16) (data []byte) {
		for kind, value := range map[uint16]uint16{queueNum: number, queueTotal: total, queueFlags: flags} {
			data = nlattr.Append(data, kind, binary.BigEndian.AppendUint16(nil, value))
		}
		return data
	}
	for want, data := range map[Queues][]byte{
		{Hands: true, First: 3, Last: 3}:               expression(3, 1, 0),
		{Hands: true, First: 3, Last: 6}:               expression(3, 4, 2),
		{Hands: true, First: 0, Last: 0, Bypass: true}: expression(0, 0, queueBypass),
		{}: nlattr.Append(nil, 4, []byte{0, 0, 0, 1}), // from a map
	} {
		if got := readQueues(data); got != want {
			t.Errorf("%+v, want %+v", got, want)
		}
	}
}
