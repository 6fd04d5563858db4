// Package inspect compares a configuration with a host and reports conditions under which replies still take a wrong
// path, although every setting can be applied: routers that no uplink names, conflicting ip rules, a missing gateway.
// It also proposes a configuration for a host (Propose). It is pure: its input is what uplinks.Kernel observed.
package inspect
