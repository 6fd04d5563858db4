package prover

import (
	"replypath/health/proof"
	"replypath/health/proof/capture"
)

// trace is what was injected, and what was observed of it.
type trace struct {
	requests     []proof.Request
	observations proof.Observations
	grouped      *proof.Traces // the observations by request; nil: they have changed since
}

// traces returns the observations by request.
func (t *trace) traces() proof.Traces {
	if t.grouped == nil {
		grouped := t.observations.Traces()
		t.grouped = &grouped
	}
	return *t.grouped
}

// read reads the observations since the capture was started.
func (t *trace) read(c *capture.Capture) (err error) {
	t.observations, err = c.Read()
	t.grouped = nil
	return err
}
