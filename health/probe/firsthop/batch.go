package firsthop

import (
	"time"

	"replypath/health"
)

// batch is what requests that are sent together have in common. end gets those that have ended at a time, also from several goroutines
// at once. It must neither block nor keep them.
type batch struct{ end func(*endings) }

// ending is how a request of a batch has ended.
type ending struct {
	n    int // of the request
	path *health.Path
	reply
	err error
}

// endings are requests of a batch that have ended, and are to be reported together. For one goroutine.
type endings struct {
	batch    *batch
	all      []ending
	outcomes []health.BatchedOutcome // room for batch.end
}

// add adds a request. Those of another batch are reported before.
func (e *endings) add(q *request, r reply, err error) {
	e.append(q.batch, ending{q.n, q.path, r, err})
}

func (e *endings) append(b *batch, with ending) {
	if e.batch != b {
		e.flush()
		e.batch = b
	}
	e.all = append(e.all, with)
}

// flush reports what was added.
func (e *endings) flush() {
	if len(e.all) == 0 {
		return
	}
	all := e.all
	e.batch.end(e)
	clear(all)
	clear(e.outcomes)
	e.batch, e.all, e.outcomes = nil, all[:0], e.outcomes[:0]
}

// explain translates the errors for the operator.
func (e *endings) explain() {
	for i := range e.all {
		if x := &e.all[i]; x.err != nil {
			x.err = explain(x.path, x.err)
		}
	}
}

// results returns the outcomes of the probes, which are valid until the next call.
func (e *endings) results() []health.BatchedOutcome {
	e.outcomes = e.outcomes[:0]
	for i := range e.all {
		e.outcomes = append(e.outcomes, e.all[i].outcome())
	}
	return e.outcomes
}

// outcome returns the outcome of the probe.
func (e *ending) outcome() health.BatchedOutcome {
	o := health.Outcome{Sent: e.sent, Err: e.err}
	if e.err == nil {
		o.RTT = e.took
	}
	return health.BatchedOutcome{N: e.n, Outcome: o}
}

// failed returns the ending of a request that cannot be sent.
func failed(n int, p *health.Path, err error) ending {
	return ending{n: n, path: p, reply: reply{sent: time.Now()}, err: err}
}
