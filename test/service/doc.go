// Package service tests replypath run: it repairs random damage, follows links, addresses and gateways, restarts without
// interrupting connections, reports to systemd, and serves its control socket and its endpoint.
package service
