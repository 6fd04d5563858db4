// Package endpoint shows the Status over HTTP to monitors, load balancers, Prometheus and people. It only reads: nothing
// that is asked of it changes anything.
//
// A request's way: crowd (is there room), guard (method, host, token), answers or page or stream or metrics.
package endpoint
