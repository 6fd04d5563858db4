// Package health is the vocabulary of uplink health: what is configured, what is measured and what is reported. It runs
// nothing. The packages below it do:
//
//	settings.go  Settings ──┐
//	                        ├─ monitor ─→ status.go  Status
//	path.go      Path ──────┤     │  └──→ event.go   Event ─→ event_log.go ─→ endpoint, hook
//	                        │     └─ probe/icmp, probe/connect, probe/firsthop ─→ prober.go  Outcome
//	                        └─ proof ─→ proof.go  Proof ─→ monitor
//
// Package monitor decides the State of each Path from the Outcomes of its probes and from its Proof. Package proof checks
// whether replies leave by the uplink of their connection. Package endpoint serves the Status over HTTP, and package hook
// runs programs for Events.
package health
