// Package box is the harness of the tests that run the program: a gateway with replypath on it in a simulated Internet
// (package world), the service as systemd runs it, recorders of the uplinks that replies leave by, and snapshots of the
// kernel. Helpers that one package alone needs stay in that package.
package box
