// Package matrix plants faults on a gateway with two uplinks, and compares what verify, the service and doctor report with the
// requests of a client that are lost. Healthy hosts with the rules of other programs must be reported as healthy. The
// matrix is part of etc/doc/proof.md.
package matrix
