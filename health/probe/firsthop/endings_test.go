package firsthop

import (
	"errors"
	"slices"
	"testing"
	"time"

	"replypath/health"
	"replypath/uplinks/egress"
)

// recordingBatch returns a batch that records the numbers of the requests that end together.
func recordingBatch(ended *[][]int) *batch {
	return &batch{end: func(e *endings) {
		var together []int
		for _, o := range e.results() {
			together = append(together, o.N)
		}
		*ended = append(*ended, together)
	}}
}

func TestRepliesThatAreReceivedTogetherAreReportedTogether(t *testing.T) {
	var (
		r             requests
		first, second [][]int
		ended         endings
	)
	one, other := recordingBatch(&first), recordingBatch(&second)
	for n := range 4 {
		r.begin(&request{gateway: egress.LinkAddr{Link: n, Addr: router6}, batch: one, n: n})
	}
	r.begin(&request{gateway: egress.LinkAddr{Link: 9, Addr: router6}, batch: other})
	for _, link := range []int{2, 0, 9, 9, 3} {
		r.receive(egress.LinkAddr{Link: link, Addr: router6}, nil, nil, time.Now(), &ended)
	}
	ended.flush()
	ended.flush()
	if !slices.EqualFunc(first, [][]int{{2, 0}, {3}}, slices.Equal) || !slices.EqualFunc(second, [][]int{{0}}, slices.Equal) {
		t.Errorf("ended %v and %v", first, second)
	}
	if len(r.waiting) != 1 {
		t.Errorf("%d gateways are waited for, want one", len(r.waiting))
	}
}

func TestOnlyRepliesThatAreDueAreCompared(t *testing.T) {
	table := &fakeTable{entry: egress.Neighbour{MAC: another, State: egress.Permanent}, found: true}
	k, reported := newKernelView(table), make(chan health.BatchedOutcome, 8)
	b := &batch{end: func(e *endings) {
		for _, o := range e.results() {
			reported <- o
		}
	}}
	known := gatewayPath
	known.Key = health.Key{Uplink: "known"}
	k.paths[known.Key] = viewOfPath{good: time.Now()}
	answered := reply{mac: heard}
	left := k.compareDue([]ending{
		{0, &gatewayPath, answered, errors.New("no reply")},
		{1, &gatewayPath, answered, nil},
		{2, &known, answered, nil},
		{3, &gatewayPath, reply{}, nil},
	}, b)
	var numbers []int
	for _, e := range left {
		numbers = append(numbers, e.n)
	}
	if !slices.Equal(numbers, []int{0, 2, 3}) {
		t.Errorf("%v need no comparison", numbers)
	}
	if o := <-reported; o.N != 1 || o.Err == nil {
		t.Errorf("the comparison of a permanent, wrong entry: %+v", o)
	}
}
