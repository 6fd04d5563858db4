// Package service tests replypath run: it repairs random damage, follows links, addresses and gateways, restarts without
// harm, reports to systemd, and serves its control socket and its endpoint.
package service
