// Package monitor decides the state of each uplink: it sends the probes, and combines their outcomes with the state of the
// link and with the proof of the reply path.
//
// An outcome goes these steps, in recordOutcome (outcome.go). The last column is where the result of the step is kept:
//
//	probe_loop.go  Monitor.record        a Prober returns or reports the Outcome of a sent probe
//	detector.go    Detector.Record       rise and fall: is the target alive through this path?      Detector.liveness
//	correlate.go   engine.correlate      or does the target fail on every uplink (attribution.go)?  probeState.effective
//	quorum.go      quorum                are enough of the path's probes alive?                     pathState.quorum
//	decide.go      pathState.decide      link_fault.go, quorum, hold_down.go, then the proof        pathState.state
//	transition.go  engine.evaluate       the new state is recorded, and an Event emitted
//	event_queue.go eventQueue.deliver    Monitor.OnEvent receives it
//	status.go      Monitor.Status        the state is read
//
// A link event enters at Monitor.UpdateLink, a proof at Monitor.UpdateProof; both go on with evaluate. Configure and
// UpdatePath change what is probed (reconfigure.go).
//
// All state is in engine, which Monitor.mu guards. Engine and the types below it block on nothing, know no clock (the time
// is a parameter) and start no goroutine: they collect events to deliver and probes to send, which Monitor.update carries
// out. The agenda (agenda.go) says when each path has probes to send. A timer fires at the earliest time, and all that are due
// are sent: probes of a BatchProber in one batch, each other one by a goroutine that waits for its outcome.
package monitor
